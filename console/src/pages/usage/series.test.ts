import { describe, expect, it } from 'vitest'

import type { UsageReport, UsageRow } from '@/api/usage'

import { bucketsOf, linesOf } from './series'

const at = (iso: string) => Date.parse(iso)
const row = (bucket: string, requests: number, more: Partial<UsageRow> = {}) => ({ bucket, requests, prompt_tokens: 0, completion_tokens: 0, ...more }) as UsageRow
const report = (rows: UsageRow[], asOf = '2026-11-01T04:00:00Z') => ({ from: '2026-11-01T00:00:00Z', to: '2026-11-01T04:00:00Z', rows, accuracy: { as_of: asOf } }) as UsageReport

describe('时间桶', () => {
  it('拨慢的那一天有 25 个小时，天从当地零点起', () => {
    const from = at('2026-11-01T04:00:00Z')
    expect(bucketsOf(from, at('2026-11-02T05:00:00Z'), 'hour', 'America/New_York')).toHaveLength(25)
    expect(bucketsOf(from, at('2026-11-04T05:00:00Z'), 'day', 'America/New_York').map((t) => new Date(t).toISOString().slice(5, 13)))
      .toEqual(['11-01T04', '11-02T05', '11-03T05'])
  })

  it('拨半小时的时区也走得完', () => {
    const hours = bucketsOf(at('2026-04-04T12:00:00Z'), at('2026-04-04T20:00:00Z'), 'hour', 'Australia/Lord_Howe')
    expect(hours.every((t, i) => i === 0 || (t > hours[i - 1]! && t - hours[i - 1]! <= 90 * 60_000))).toBe(true)
  })
})

describe('线', () => {
  const by = ['app'] as const
  it('没有一行的桶是零，还没到的不画', () => {
    const lines = linesOf(report([row('2026-11-01T01:00:00Z', 5, { app: 'a' })], '2026-11-01T02:30:00Z'), [...by], 'requests', 'hour', 'UTC', (r) => r.app!, [])
    expect(lines).toEqual([{ name: 'a', points: [[at('2026-11-01T00:00:00Z'), 0], [at('2026-11-01T01:00:00Z'), 5], [at('2026-11-01T02:00:00Z'), 0]] }])
  })

  it('百分位没有观察的桶是空，不是零', () => {
    const seen = row('2026-11-01T01:00:00Z', 1, { app: 'a', percentiles: { first_byte_ms: { p95: 12 } } })
    const refused = row('2026-11-01T02:00:00Z', 0, { app: 'a' })
    const lines = linesOf(report([seen, refused]), [...by], 'first_byte', 'hour', 'UTC', (r) => r.app!, [])
    expect(lines[0]!.points.map((p) => p[1])).toEqual([null, 12, null, null])
  })

  it('大的在前，其余的总在最后', () => {
    const rows = [row('2026-11-01T00:00:00Z', 1, { app: 'small' }), row('2026-11-01T00:00:00Z', 9, { app: 'big' }), row('2026-11-01T00:00:00Z', 50, { other: true })]
    expect(linesOf(report(rows), [...by], 'requests', 'hour', 'UTC', (r) => (r.other ? 'rest' : r.app!), []).map((l) => l.name)).toEqual(['big', 'small', 'rest'])
  })

  it('不在整点上的桶（两端放宽过）也画得出', () => {
    const lines = linesOf(report([row('2026-10-31T23:00:00Z', 3)]), [], 'requests', 'hour', 'UTC', () => '', [{ name: 'all', of: (r) => r.requests }])
    expect(lines[0]!.points[0]).toEqual([at('2026-10-31T23:00:00Z'), 3])
  })
})
