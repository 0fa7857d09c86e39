import type { Queue } from '@/api/live'

/** Slots 是一个服务器的在途名额分在哪里；limit 为 null 即不限，over 是超出限额的（限额刚刚调低时有）。 */
export interface Slots {
  limit: number | null
  busy: number
  /** idle 由节点拿着，还没有请求在用。 */
  idle: number
  quarantined: number
  free: number
  over: number
}

/** slotsOf 由队列的账算出名额的分布；各项之和是 limit 与 over。 */
export function slotsOf(q: Queue): Slots {
  const limit = q.limits.max_concurrency || null
  const busy = q.in_flight
  // 在途的与持有的不在同一刻报来，持有可以一时显得少。
  const idle = Math.max(0, q.held - q.in_flight)
  const taken = busy + idle + q.quarantined
  return { limit, busy, idle, quarantined: q.quarantined, free: limit === null ? 0 : Math.max(0, limit - taken), over: limit === null ? 0 : Math.max(0, taken - limit) }
}

export type SlotKind = 'busy' | 'idle' | 'quarantined' | 'free'

/** parts 是画的次序与各占多少；零个的不画。 */
export function parts(s: Slots): { kind: SlotKind; n: number }[] {
  const all: { kind: SlotKind; n: number }[] = [
    { kind: 'busy', n: s.busy },
    { kind: 'idle', n: s.idle },
    { kind: 'quarantined', n: s.quarantined },
    { kind: 'free', n: s.free },
  ]
  return all.filter((p) => p.n > 0)
}

/** Filter：active 是有在途或在等的，waiting 是有在等的。 */
export type Filter = 'all' | 'active' | 'waiting'

/** arranged 是该给人看的：filter 与名字相符，等得多的在前，再是占得满的，再按名字。 */
export function arranged(queues: Queue[], search: string, filter: Filter): Queue[] {
  const load = (q: Queue) => q.in_flight / (q.limits.max_concurrency || Infinity)
  return queues
    .filter((q) => q.server.includes(search.trim()))
    .filter((q) => filter === 'all' || q.waiting > 0 || (filter === 'active' && q.in_flight > 0))
    .sort((a, b) => b.waiting - a.waiting || load(b) - load(a) || b.in_flight - a.in_flight || a.server.localeCompare(b.server))
}
