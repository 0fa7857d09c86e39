import { dayStart, monthStart } from './zone'

/** presets 是选得到的时间段；custom 由两端说。 */
export const presets = ['15m', '1h', '24h', 'today', 'yesterday', '7d', '30d', 'month', 'lastMonth', 'custom'] as const
export type Preset = (typeof presets)[number]

/** Span 是 [from, to)，毫秒；to 为 null 即到现在为止，没有终点。 */
export interface Span {
  from: number
  to: number | null
}

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const rolling: Partial<Record<Preset, number>> = { '15m': 15 * minute, '1h': hour, '24h': day, '7d': 7 * day, '30d': 30 * day }

/** spanOf 由 preset 算出 now 那一刻的时间段；今天、本月从 zone 里的零点起。custom 原样是 given，缺的一端按最近 24 小时。 */
export function spanOf(preset: Preset, zone: string, now: number, given: Partial<Span> = {}): Span {
  switch (preset) {
    case 'today': return { from: dayStart(zone, now), to: null }
    case 'yesterday': return { from: dayStart(zone, now, -1), to: dayStart(zone, now) }
    case 'month': return { from: monthStart(zone, now), to: null }
    case 'lastMonth': return { from: monthStart(zone, now, -1), to: monthStart(zone, now) }
    case 'custom': return { from: given.from ?? now - day, to: given.to ?? null }
    default: return { from: now - rolling[preset]!, to: null }
  }
}

/** instantText 以 UTC 写一刻：分享出去的是同一刻，不随看的人的时区变。 */
export const instantText = (at: number) => new Date(at).toISOString()

/** parseInstant 读地址里的一刻；不是一刻则为 null。 */
export function parseInstant(text: string): number | null {
  const at = text ? Date.parse(text) : NaN
  return Number.isNaN(at) ? null : at
}
