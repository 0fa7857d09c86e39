import { expect, it } from 'vitest'

import type { UsageReport } from '@/api/upstream'

import { chartsOf } from './series'

const names = { requests: 'r', errors: 'e', input: 'i', output: 'o', p95: 'p' }
const report = {
  from: '2026-01-01T00:00:00Z', to: '2026-01-01T00:03:30Z',
  rows: [{ bucket: '2026-01-01T00:01:00Z', attempts: 5, attempt_errors: 2, prompt_tokens: 7, completion_tokens: 3, percentiles: { first_byte_ms: { p95: 12 } } }],
} as unknown as UsageReport

it('没有行的桶：次数是零，百分位是没有观察', () => {
  const c = chartsOf(report, 'hour', names)
  expect(c.requests.map((l) => l.points.map((p) => p[1]))).toEqual([[0, 5, 0, 0], [0, 2, 0, 0]])
  expect(c.firstByte[0]!.points.map((p) => p[1])).toEqual([null, 12, null, null])
  expect(c.tokens[1]!.points[1]).toEqual([Date.parse('2026-01-01T00:01:00Z'), 3])
})

it('半小时时区的整点桶也落在自己的位置', () => {
  const half = { ...report, from: '2026-01-01T00:10:00Z', to: '2026-01-01T03:00:00Z', rows: [{ ...report.rows[0]!, bucket: '2026-01-01T01:30:00Z' }] } as UsageReport
  const got = chartsOf(half, 'day', names).requests[0]!.points
  expect(got).toContainEqual([Date.parse('2026-01-01T01:30:00Z'), 5])
  expect(got.reduce((n, p) => n + (p[1] ?? 0), 0)).toBe(5)
})
