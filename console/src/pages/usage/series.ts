import type { UsageFigures, UsageReport, UsageRow } from '@/api/usage'
import type { Line } from '@/components/chart/lines'
import { dayStart, hourStart } from '@/components/time/zone'

import type { Dimension, Interval, Metric } from './query'

const minute = 60_000

/** bucketsOf 是 [from, to) 里各时间桶的起点，毫秒；天与小时按 zone 的钟，拨钟的那一天也对。 */
export function bucketsOf(from: number, to: number, interval: Interval, zone: string): number[] {
  const out: number[] = []
  let at = interval === 'day' ? dayStart(zone, from) : interval === 'hour' ? hourStart(zone, from) : Math.floor(from / minute) * minute
  while (at < to && out.length < 20_000) {
    out.push(at)
    // 小时从下一个钟点的里面找起：拨钟之后仍落在当地的整点上。
    at = interval === 'day' ? dayStart(zone, at, 1) : interval === 'hour' ? Math.max(hourStart(zone, at + 60 * minute), at + minute) : at + minute
  }
  return out
}

/** valueOf 是一行的一个指标；没有观察的百分位是 null，不是零。 */
export function valueOf(row: UsageFigures & Pick<UsageRow, 'percentiles'>, metric: Metric): number | null {
  if (metric === 'tokens') return row.prompt_tokens + row.completion_tokens
  if (metric === 'first_byte') return row.percentiles?.first_byte_ms?.p95 ?? null
  return row[metric]
}

/** keyOf 认得同一组：各维度的值，或前几名之外的那一组。 */
export function keyOf(row: UsageRow, by: Dimension[]): string {
  return row.other ? 'other' : JSON.stringify(by.map((d) => row[d] ?? ''))
}

type Part = { name: string; of: (row: UsageRow) => number | null }

/**
 * linesOf 把各行排成线，一组一条。没有一行的桶：能相加的是零（没有就是没有用量），百分位是空（没有观察）。
 * 还没到的时刻不画：report 读数之后的桶不在其中。parts 是不分组时把一个数拆成的几条。
 */
export function linesOf(report: UsageReport, by: Dimension[], metric: Metric, interval: Interval, zone: string, label: (row: UsageRow) => string, parts: Part[]): Line[] {
  const to = Math.min(Date.parse(report.to), Date.parse(report.accuracy.as_of))
  const at = bucketsOf(Date.parse(report.from), to, interval, zone)
  const known = new Set(at)
  for (const r of report.rows) if (r.bucket && !known.has(Date.parse(r.bucket))) at.push(Date.parse(r.bucket))
  at.sort((a, b) => a - b)
  const empty = metric === 'first_byte' ? null : 0
  const line = (name: string, rows: UsageRow[], of: Part['of']): Line => {
    const values = new Map(rows.map((r) => [Date.parse(r.bucket ?? ''), of(r)]))
    return { name, points: at.map((t) => [t, values.has(t) ? values.get(t)! : empty]) }
  }
  if (by.length === 0) return parts.map((p) => line(p.name, report.rows, p.of))
  const groups = new Map<string, UsageRow[]>()
  for (const r of report.rows) {
    const key = keyOf(r, by)
    groups.set(key, [...(groups.get(key) ?? []), r])
  }
  const sum = (rows: UsageRow[]) => rows.reduce((n, r) => n + (valueOf(r, metric) ?? 0), 0)
  const sorted = [...groups].sort(([ka, a], [kb, b]) => Number(ka === 'other') - Number(kb === 'other') || sum(b) - sum(a))
  return sorted.map(([, rows]) => line(label(rows[0]!), rows, (r) => valueOf(r, metric)))
}
