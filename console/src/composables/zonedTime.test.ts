import { expect, it } from 'vitest'

import { zonedInstant, zonedWall } from './zonedTime'

it.each([
  ['2026-11-23T20:00', 'Asia/Shanghai', '2026-11-23T12:00:00.000Z'],
  ['2026-11-23T20:00', 'UTC', '2026-11-23T20:00:00.000Z'],
  ['2026-07-01T00:00', 'America/New_York', '2026-07-01T04:00:00.000Z'],
  ['2026-01-01T00:00', 'America/New_York', '2026-01-01T05:00:00.000Z'],
  ['2026-03-08T03:30', 'America/New_York', '2026-03-08T07:30:00.000Z'],
  ['2026-01-01T00:00', 'Asia/Kathmandu', '2025-12-31T18:15:00.000Z'],
  ['2026-03-08T02:30', 'America/New_York', '2026-03-08T07:30:00.000Z'],
  ['2026-11-01T01:30', 'America/New_York', '2026-11-01T05:30:00.000Z'],
  ['', 'UTC', ''],
  ['yesterday', 'UTC', ''],
])('%s 在 %s 是 %s', (wall, zone, want) => {
  expect(zonedInstant(wall, zone)).toBe(want)
})

it('写成墙上的时刻再读回来是同一分钟，不管浏览器在哪个时区', () => {
  for (const zone of ['Asia/Shanghai', 'America/New_York', 'Asia/Kathmandu', undefined]) expect(zonedInstant(zonedWall('2026-12-01T00:05:00Z', zone), zone)).toBe('2026-12-01T00:05:00.000Z')
  expect(zonedWall('2026-12-01T00:05:00Z', 'Asia/Shanghai')).toBe('2026-12-01T08:05')
  expect(zonedWall(null, 'UTC')).toBe('')
})
