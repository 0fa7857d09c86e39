import { expect, it } from 'vitest'

import type { UsageRow } from '@/api/apps'

import { hourly } from './usage'

const row = (bucket: string, requests: number) => ({ bucket, requests }) as UsageRow
const value = (r: UsageRow) => r.requests

it('没有行的小时是零，线不断', () => {
  const line = hourly([row('2026-01-01T02:00:00Z', 5)], '2026-01-01T00:30:00Z', '2026-01-01T03:30:00Z', 'n', value)
  expect(line.points.map(([at, v]) => [new Date(at).toISOString().slice(11, 16), v])).toEqual([['00:00', 0], ['01:00', 0], ['02:00', 5], ['03:00', 0]])
})

it('差半小时的时区：跟着行的相位走', () => {
  const line = hourly([row('2026-01-01T01:30:00Z', 5)], '2026-01-01T00:45:00Z', '2026-01-01T02:45:00Z', 'n', value)
  expect(line.points.map(([, v]) => v)).toEqual([0, 5, 0])
})

it('一行也没有即全是零', () => {
  expect(hourly([], '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z', 'n', value).points).toHaveLength(24)
})
