import type { UsageRow } from '@/api/apps'
import type { Line } from '@/components/chart/lines'

const hourMs = 3_600_000

/** hourly 把逐小时的行填成整条线：没有行的小时没有请求，是真的零。from、to 是应答里算进来的两端。 */
export function hourly(rows: UsageRow[], from: string, to: string, name: string, value: (r: UsageRow) => number): Line {
  const known = new Map(rows.map((r) => [Date.parse(r.bucket ?? ''), value(r)]))
  const starts = [...known.keys()].filter((n) => !Number.isNaN(n))
  // 桶按时区对齐，半小时的时区也有：有行就跟着行的相位走。
  const phase = (starts[0] ?? 0) % hourMs
  const first = Math.floor((Date.parse(from) - phase) / hourMs) * hourMs + phase
  const points: Line['points'] = []
  for (let at = first; at < Date.parse(to); at += hourMs) points.push([at, known.get(at) ?? 0])
  return { name, points }
}
