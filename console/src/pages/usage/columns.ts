import type { UsageFigures, UsageRow } from '@/api/usage'

type Row = UsageFigures & Pick<UsageRow, 'percentiles'>

/** Column 是表里的一栏数；value 为 null 即没有观察。 */
export interface Column {
  key: 'requests' | 'refused' | 'errors' | 'aborted' | 'prompt_tokens' | 'completion_tokens' | 'cached_tokens' | 'cost' | 'queue_p95' | 'first_p50' | 'first_p95' | 'first_p99' | 'duration_p95'
  kind: 'count' | 'money' | 'ms'
  value: (r: Row) => number | null
}

const count = (key: 'requests' | 'refused' | 'errors' | 'aborted' | 'prompt_tokens' | 'completion_tokens' | 'cached_tokens'): Column => ({ key, kind: 'count', value: (r) => r[key] })

/** columns 是各栏，由左到右。 */
export const columns: Column[] = [
  count('requests'), count('refused'), count('errors'), count('aborted'), count('prompt_tokens'), count('completion_tokens'), count('cached_tokens'),
  { key: 'cost', kind: 'money', value: (r) => r.cost },
  { key: 'first_p50', kind: 'ms', value: (r) => r.percentiles?.first_byte_ms?.p50 ?? null },
  { key: 'first_p95', kind: 'ms', value: (r) => r.percentiles?.first_byte_ms?.p95 ?? null },
  { key: 'first_p99', kind: 'ms', value: (r) => r.percentiles?.first_byte_ms?.p99 ?? null },
  { key: 'queue_p95', kind: 'ms', value: (r) => r.percentiles?.queue_ms?.p95 ?? null },
  { key: 'duration_p95', kind: 'ms', value: (r) => r.percentiles?.duration_ms?.p95 ?? null },
]

/** sorted 按一栏排，- 开头由大到小；没有观察的总在最后，其余各组之和也在最后。认不得的栏是原来的次序。 */
export function sorted(rows: UsageRow[], sort: string): UsageRow[] {
  const down = sort.startsWith('-')
  const column = columns.find((c) => c.key === (down ? sort.slice(1) : sort))
  if (!column) return rows
  return [...rows].sort((a, b) => {
    if (Boolean(a.other) !== Boolean(b.other)) return a.other ? 1 : -1
    const [x, y] = [column.value(a), column.value(b)]
    if (x === null || y === null) return Number(x === null) - Number(y === null)
    return down ? y - x : x - y
  })
}
