import { describe, expect, it } from 'vitest'

import { presets, spanOf } from './range'
import { dayStart, hourStart, instantOf, parseWall, validZone, wallText } from './zone'

const at = (iso: string) => Date.parse(iso)
const hours = (a: number, b: number) => (b - a) / 3_600_000

describe('时区里的钟', () => {
  it('拨快与拨慢的那一天是 23 与 25 小时', () => {
    const spring = dayStart('America/New_York', at('2026-03-08T17:00:00Z'))
    const autumn = dayStart('America/New_York', at('2026-11-01T17:00:00Z'))
    expect(hours(spring, dayStart('America/New_York', spring, 1))).toBe(23)
    expect(hours(autumn, dayStart('America/New_York', autumn, 1))).toBe(25)
    expect(new Date(autumn).toISOString()).toBe('2026-11-01T04:00:00.000Z')
  })

  it('有两次的钟取早的一次，没有的钟取跳过去之后', () => {
    expect(new Date(parseWall('America/New_York', '2026-11-01T01:30')!).toISOString()).toBe('2026-11-01T05:30:00.000Z')
    expect(new Date(parseWall('America/New_York', '2026-03-08T02:30')!).toISOString()).toBe('2026-03-08T07:30:00.000Z')
  })

  it('零点被跳过去的一天从跳过去之后起', () => {
    // 圣保罗 2018-11-04 的零点直接是一点。
    expect(new Date(dayStart('America/Sao_Paulo', at('2018-11-04T12:00:00Z'))).toISOString()).toBe('2018-11-04T03:00:00.000Z')
  })

  it('越界的月与日进到该去的地方', () => {
    expect(new Date(instantOf('Asia/Shanghai', { year: 2026, month: 13, day: 0, hour: 0, minute: 0 })).toISOString()).toBe('2026-12-30T16:00:00.000Z')
  })

  it('整点按当地的钟，差半小时的时区也对', () => {
    expect(new Date(hourStart('Asia/Kolkata', at('2026-11-01T10:10:42Z'))).toISOString()).toBe('2026-11-01T09:30:00.000Z')
  })

  it('写成文字再读回来是同一分钟', () => {
    for (const zone of ['UTC', 'Asia/Shanghai', 'Australia/Lord_Howe', 'America/St_Johns']) {
      const t = at('2026-07-09T03:07:00Z')
      expect(parseWall(zone, wallText(zone, t)), zone).toBe(t)
    }
    expect(parseWall('UTC', 'yesterday')).toBeNull()
  })

  it('认得的时区才算', () => {
    expect([validZone('Asia/Shanghai'), validZone('Mars/Olympus'), validZone('')]).toEqual([true, false, false])
  })
})

describe('时间段', () => {
  const now = at('2026-03-01T03:00:00Z')
  it('今天、昨天、本月、上月按所选的时区', () => {
    const iso = (preset: (typeof presets)[number], zone: string) => {
      const s = spanOf(preset, zone, now)
      return [new Date(s.from).toISOString(), s.to === null ? null : new Date(s.to).toISOString()]
    }
    // 此刻在洛杉矶还是二月的最后一天。
    expect(iso('today', 'America/Los_Angeles')).toEqual(['2026-02-28T08:00:00.000Z', null])
    expect(iso('yesterday', 'America/Los_Angeles')).toEqual(['2026-02-27T08:00:00.000Z', '2026-02-28T08:00:00.000Z'])
    expect(iso('lastMonth', 'America/Los_Angeles')).toEqual(['2026-01-01T08:00:00.000Z', '2026-02-01T08:00:00.000Z'])
    expect(iso('month', 'Asia/Shanghai')).toEqual(['2026-02-28T16:00:00.000Z', null])
  })

  it('滚动的一段没有终点，自定的两端原样', () => {
    expect(spanOf('1h', 'UTC', now)).toEqual({ from: now - 3_600_000, to: null })
    expect(spanOf('custom', 'UTC', now, { from: 1, to: 2 })).toEqual({ from: 1, to: 2 })
    expect(spanOf('custom', 'UTC', now)).toEqual({ from: now - 86_400_000, to: null })
  })
})
