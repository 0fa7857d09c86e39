/** zonedInstant 把某个时区墙上的时刻（2026-03-08T02:30）说成 RFC 3339；读不懂为空。不存在的那一小时取跳过之后的。 */
export function zonedInstant(wall: string, zone: string | undefined): string {
  const guess = Date.parse(`${wall}Z`)
  if (!wall || Number.isNaN(guess)) return ''
  // 头一次按猜的时刻的偏移，第二次按改过之后的：跨过换时的那一刻也对。
  const once = guess - offsetMs(guess, zone)
  return new Date(guess - offsetMs(once, zone)).toISOString()
}

function offsetMs(at: number, zone: string | undefined): number {
  const parts = new Intl.DateTimeFormat('en-US', { timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' }).formatToParts(at)
  const n = Object.fromEntries(parts.map((p) => [p.type, Number(p.value)]))
  return Date.UTC(n.year!, n.month! - 1, n.day, n.hour, n.minute, n.second) - Math.floor(at / 1000) * 1000
}
