import { instantText, parseInstant, type Preset, spanOf } from '@/components/time/range'

export const ranges = ['15m', '1h', '24h', 'today', 'yesterday', '7d', '30d', 'custom'] as const satisfies readonly Preset[]
export const outcomes = ['ok', 'client_error', 'limited', 'upstream_error', 'gateway_error', 'aborted', 'unknown'] as const
export const sources = ['reported', 'counted', 'partial', 'unknown'] as const

/**
 * Filter 是请求页的一切，也就是地址。lists 里一项有几个值，有一个成立即可。
 * cursor 是翻到的那一页，at 是头一页问的那一刻：翻页之间时间段不许动。
 */
export interface Filter {
  range: Preset
  from: number | null
  to: number | null
  q: string
  id: string
  app: string[]
  key: string[]
  model: string[]
  server: string[]
  outcome: string[]
  status: string[]
  source: string[]
  stream: '' | 'true' | 'false'
  min: string
  tail: boolean
  cursor: string
  at: number | null
}

export const lists = ['app', 'key', 'model', 'server', 'outcome', 'status', 'source'] as const
const texts = ['q', 'id'] as const

export const usual: Filter = {
  range: '24h', from: null, to: null, q: '', id: '', app: [], key: [], model: [], server: [], outcome: [], status: [], source: [], stream: '', min: '', tail: false, cursor: '', at: null,
}

type Query = Record<string, string | null | (string | null)[] | undefined>

const all = (v: Query[string]) => (v === undefined ? [] : Array.isArray(v) ? v : [v]).filter((s): s is string => !!s)
const first = (v: Query[string]) => all(v)[0] ?? ''

/** fromURL 读地址；读不懂的一项是缺省。 */
export function fromURL(q: Query): Filter {
  const stream = first(q.stream)
  return {
    range: ranges.find((r) => r === first(q.range)) ?? usual.range,
    from: parseInstant(first(q.from)), to: parseInstant(first(q.to)),
    q: first(q.q), id: first(q.id), app: all(q.app), key: all(q.key), model: all(q.model), server: all(q.server),
    outcome: all(q.outcome).filter((o) => (outcomes as readonly string[]).includes(o)),
    status: all(q.status).filter((s) => /^\d{1,3}$/.test(s)),
    source: all(q.source).filter((s) => (sources as readonly string[]).includes(s)),
    stream: stream === 'true' || stream === 'false' ? stream : '',
    min: /^\d{1,9}$/.test(first(q.min)) ? first(q.min) : '',
    tail: first(q.tail) === 'true', cursor: first(q.cursor), at: parseInstant(first(q.at)),
  }
}

/** toURL 写回地址；等于缺省的不写。 */
export function toURL(f: Filter): Record<string, string | string[]> {
  const q: Record<string, string | string[]> = {}
  if (f.range !== usual.range) q.range = f.range
  if (f.range === 'custom' && f.from !== null) q.from = instantText(f.from)
  if (f.range === 'custom' && f.to !== null) q.to = instantText(f.to)
  for (const name of lists) if (f[name].length) q[name] = f[name]
  for (const name of [...texts, 'stream', 'min', 'cursor'] as const) if (f[name]) q[name] = f[name]
  if (f.tail) q.tail = 'true'
  if (f.cursor && f.at !== null) q.at = instantText(f.at)
  return q
}

/** paramsOf 是问 API 的一句话；认准了一个号就不论时间。 */
export function paramsOf(f: Filter, zone: string, now: number, limit: number): URLSearchParams {
  const p = new URLSearchParams()
  if (!f.id) {
    const s = spanOf(f.range, zone, now, { from: f.from ?? undefined, to: f.to })
    p.set('from', instantText(s.from))
    if (s.to !== null) p.set('to', instantText(s.to))
  }
  for (const name of lists) for (const v of f[name]) p.append(name, v)
  for (const name of [...texts, 'stream', 'cursor'] as const) if (f[name]) p.set(name, f[name])
  if (f.min) p.set('min_duration_ms', f.min)
  p.set('limit', String(limit))
  return p
}
