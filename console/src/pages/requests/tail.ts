import type { Request } from '@/api/requests'

/** most 是跟着看时至多留几条：再多也没有人看得过来。 */
export const most = 300

const newest = (a: Request, b: Request) => Date.parse(b.ended_at) - Date.parse(a.ended_at)

/** merged 把新到的并进来：一个号只有一条，由新到旧，至多 most 条。 */
export function merged(rows: Request[], fresh: Request[]): Request[] {
  const known = new Set(rows.map((r) => r.id))
  const added = fresh.filter((r) => !known.has(r.id) && known.add(r.id))
  return added.length === 0 ? rows : [...added, ...rows].sort(newest).slice(0, most)
}

/** since 是下一次从哪里问起，毫秒：最新的那条往前一点，晚到的也补得上。没有时为 null。 */
export function since(rows: Request[], slackMs = 10_000): number | null {
  return rows.length === 0 ? null : Math.max(...rows.map((r) => Date.parse(r.ended_at))) - slackMs
}
