/** Wall 是某个时区墙上的钟；month 从 1 起。 */
export interface Wall {
  year: number
  month: number
  day: number
  hour: number
  minute: number
}

const minuteMs = 60_000
const clocks = new Map<string, Intl.DateTimeFormat>()

function clockOf(zone: string): Intl.DateTimeFormat {
  let f = clocks.get(zone)
  if (!f) {
    f = new Intl.DateTimeFormat('en-US', { timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', era: 'short' })
    clocks.set(zone, f)
  }
  return f
}

/** validZone 说这个名字浏览器认不认得。 */
export function validZone(zone: string): boolean {
  try {
    clockOf(zone)
    return zone !== ''
  } catch {
    return false
  }
}

/** wallOf 是 at（毫秒）那一刻 zone 里的钟。 */
export function wallOf(zone: string, at: number): Wall {
  const parts = Object.fromEntries(clockOf(zone).formatToParts(at).map((p) => [p.type, p.value]))
  return { year: Number(parts.year), month: Number(parts.month), day: Number(parts.day), hour: Number(parts.hour), minute: Number(parts.minute) }
}

function asUTC(w: Wall): number {
  return Date.UTC(w.year, w.month - 1, w.day, w.hour, w.minute)
}

function offset(zone: string, at: number): number {
  return asUTC(wallOf(zone, at)) - Math.floor(at / minuteMs) * minuteMs
}

/**
 * instantOf 是 zone 的钟指着 w 的那一刻，毫秒；各项可以越界（第 0 天是上个月的末日）。
 * 钟拨回而有两次的取早的一次；钟拨快而没有的，取跳过去之后的那一刻。
 */
export function instantOf(zone: string, w: Wall): number {
  const local = asUTC(w)
  // 拨钟至多差一天之内：前后一天的偏移必有一个是对的。
  const candidates = [...new Set([offset(zone, local - 86_400_000), offset(zone, local + 86_400_000)])].map((o) => local - o)
  const exact = candidates.filter((at) => asUTC(wallOf(zone, at)) === local)
  return exact.length ? Math.min(...exact) : Math.max(...candidates)
}

/** dayStart 是 at 所在那一天往后 days 天的零点。 */
export function dayStart(zone: string, at: number, days = 0): number {
  const w = wallOf(zone, at)
  return instantOf(zone, { ...w, day: w.day + days, hour: 0, minute: 0 })
}

/** monthStart 是 at 所在那个月往后 months 个月的头一天的零点。 */
export function monthStart(zone: string, at: number, months = 0): number {
  const w = wallOf(zone, at)
  return instantOf(zone, { year: w.year, month: w.month + months, day: 1, hour: 0, minute: 0 })
}

/** hourStart 是 at 所在的那个整点；时区可以差半小时。 */
export function hourStart(zone: string, at: number): number {
  return Math.floor(at / minuteMs) * minuteMs - wallOf(zone, at).minute * minuteMs
}

const two = (n: number) => String(n).padStart(2, '0')

/** wallText 写成 datetime-local 输入框要的样子，如 2026-11-01T08:30。 */
export function wallText(zone: string, at: number): string {
  const w = wallOf(zone, at)
  return `${String(w.year).padStart(4, '0')}-${two(w.month)}-${two(w.day)}T${two(w.hour)}:${two(w.minute)}`
}

/** parseWall 读回 wallText 写的；读不懂则为 null。 */
export function parseWall(zone: string, text: string): number | null {
  const m = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2})/.exec(text)
  if (!m) return null
  const [year, month, day, hour, minute] = m.slice(1).map(Number) as [number, number, number, number, number]
  return instantOf(zone, { year, month, day, hour, minute })
}
