import type { Model } from '@/api/models'
import type { Server } from '@/api/servers'
import type { ServerState } from '@/composables/useServerState'
import type { Rates } from '@/composables/useServerUsage'

/** Row 是列表里的一行。rates 为 null 即还不知道。 */
export interface Row {
  server: Server
  state: ServerState
  rates: Rates | null
  models: number
}

/** modelsOf 数每个服务器被多少个模型用着；同一个模型的几个目标只算一次。 */
export function modelsOf(models: Model[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const m of models) {
    for (const name of new Set((m.targets ?? []).map((t) => t.server))) counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return counts
}

const severity = { ejected: 0, paused: 1, full: 2, ok: 3, disabled: 4 } as const

/** share 是在途占限额的多少；不限的按在途的数排在后面。 */
function share(r: Row): number {
  const limit = r.server.limits?.max_concurrency ?? 0
  const n = r.state.queue?.in_flight ?? 0
  return limit > 0 ? n / limit : n / 1e9
}

const keys: Record<string, (r: Row) => number | string> = {
  name: (r) => r.server.name, state: (r) => severity[r.state.kind], load: share, waiting: (r) => r.state.queue?.waiting ?? -1,
  requests: (r) => r.rates?.requests ?? -1, tokens: (r) => r.rates?.tokens ?? -1, models: (r) => r.models,
}

/** arranged 过滤、再排序；order 形如 name 或 -name，并列的按名字。 */
export function arranged(rows: Row[], text: string, kind: string, order: string): Row[] {
  const words = text.trim().toLowerCase()
  const kept = rows.filter((r) => (kind === '' || r.state.kind === kind) && (words === '' || r.server.name.includes(words) || r.server.base_url.toLowerCase().includes(words)))
  const key = keys[order.replace(/^-/, '')] ?? keys.name!
  const sign = order.startsWith('-') ? -1 : 1
  return kept.sort((a, b) => {
    const [x, y] = [key(a), key(b)]
    return x === y ? a.server.name.localeCompare(b.server.name) : sign * (x < y ? -1 : 1)
  })
}
