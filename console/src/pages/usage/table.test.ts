import { expect, it } from 'vitest'

import type { UsageRow } from '@/api/usage'

import { sorted } from './columns'
import { noteOf } from './notes'

const row = (app: string, requests: number, p95?: number, other = false) => ({ app, requests, other, percentiles: p95 === undefined ? undefined : { first_byte_ms: { p95 } } }) as UsageRow

it('按一栏排；没有观察的与其余各组总在最后', () => {
  const rows = [row('rest', 99, 1, true), row('none', 5), row('slow', 1, 900), row('fast', 3, 10)]
  const names = (sort: string) => sorted(rows, sort).map((r) => r.app)
  expect(names('-first_p95')).toEqual(['slow', 'fast', 'none', 'rest'])
  expect(names('first_p95')).toEqual(['fast', 'slow', 'none', 'rest'])
  expect(names('-requests')).toEqual(['none', 'fast', 'slow', 'rest'])
  expect(names('nonsense')).toEqual(['rest', 'none', 'slow', 'fast'])
})

it('认得的说明拆成几项，认不得的原样', () => {
  expect(noteOf('from was widened from 2026-11-01T00:30:00Z to 2026-11-01T00:00:00Z: usage by the minute is kept since 2026-11-10T00:00:00Z'))
    .toEqual({ kind: 'widenedFrom', was: '2026-11-01T00:30:00Z', now: '2026-11-01T00:00:00Z', since: '2026-11-10T00:00:00Z' })
  expect(noteOf('nothing is kept from before 2026-01-01T00:00:00Z')).toMatchObject({ kind: 'floor', since: '2026-01-01T00:00:00Z' })
  expect(noteOf('half is missing')).toEqual({ kind: 'other', text: 'half is missing' })
})
