import type { UsageReport, UsageRow } from '@/api/upstream'
import type { Line } from '@/components/chart/lines'

const stepMs = { hour: 60_000, day: 3_600_000 }

/** points 补齐没有行的时间桶：没有请求是零，没有观察过的百分位是 null。 */
export function points(report: UsageReport, span: 'hour' | 'day', of: (r: UsageRow) => number | null, absent: number | null): [number, number | null][] {
  const rows = new Map(report.rows.map((r) => [Date.parse(r.bucket ?? ''), r]))
  const step = stepMs[span]
  const first = report.rows.length ? Math.min(...rows.keys()) : Date.parse(report.from)
  // 行的桶按所问的时区对齐；从一个真的桶往两边数，半小时的时区也不会错开。
  const start = first - Math.ceil((first - Date.parse(report.from)) / step) * step
  const out: [number, number | null][] = []
  for (let at = start; at < Date.parse(report.to); at += step) {
    const row = rows.get(at)
    out.push([at, row ? of(row) : absent])
  }
  return out
}

/** Charts 是详情页的三张图。 */
export interface Charts {
  requests: Line[]
  tokens: Line[]
  firstByte: Line[]
}

/** chartsOf 由一份用量画出三张图；names 是图例的文字。 */
export function chartsOf(report: UsageReport, span: 'hour' | 'day', names: { requests: string; errors: string; input: string; output: string; p95: string }): Charts {
  const line = (name: string, of: (r: UsageRow) => number | null, absent: number | null = 0): Line => ({ name, points: points(report, span, of, absent) })
  return {
    requests: [line(names.requests, (r) => r.attempts), line(names.errors, (r) => r.attempt_errors)],
    tokens: [line(names.input, (r) => r.prompt_tokens), line(names.output, (r) => r.completion_tokens)],
    firstByte: [line(names.p95, (r) => r.percentiles?.first_byte_ms?.p95 ?? null, null)],
  }
}
