import { parseWall, wallText } from '@/components/time/zone'

// 还不知道设置里的时区（或浏览器不认得它）时，写出来的时刻用的是浏览器的：读也用它。
const of = (zone: string | undefined) => zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone

/** zonedInstant 把某个时区墙上的时刻（2026-03-08T02:30）说成 RFC 3339；读不懂为空。不存在的那一小时取跳过之后的。 */
export function zonedInstant(wall: string, zone: string | undefined): string {
  const at = parseWall(of(zone), wall)
  return at === null || Number.isNaN(at) ? '' : new Date(at).toISOString()
}

/** zonedWall 是 zonedInstant 的逆：一刻在某个时区墙上的写法，到分；没有时刻为空。 */
export function zonedWall(at: string | null, zone: string | undefined): string {
  return at ? wallText(of(zone), Date.parse(at)) : ''
}
