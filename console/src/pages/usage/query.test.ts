import { describe, expect, it } from 'vitest'

import { fromURL, intervalOf, paramsOf, span, toURL, type UsageView, usual } from './query'

const now = Date.parse('2026-11-23T10:20:30Z')
const rich: UsageView = {
  range: 'custom', from: Date.parse('2026-11-01T00:00:00Z'), to: Date.parse('2026-11-02T00:00:00Z'), zone: 'Asia/Tokyo', interval: 'hour',
  by: ['server', 'model'], server: ['gpu-1'], app: ['a b', '组'], model: ['org/embed'], metric: 'cost', top: 20, rows: 'time', sort: '-cost',
}

describe('地址里的查询', () => {
  it('写进地址再读回来是同一个', () => {
    for (const v of [usual, rich, { ...usual, by: [] }, { ...usual, range: 'lastMonth' as const }]) expect(fromURL(toURL(v))).toEqual(v)
  })

  it('缺省的什么也不写', () => expect(toURL(usual)).toEqual({}))

  it('读不懂的是缺省', () => {
    expect(fromURL({ range: 'soon', from: 'x', interval: 'week', by: 'planet', metric: '', top: '3', rows: null })).toEqual({ ...usual, by: [] })
  })

  it('只出现一次的筛选也是一列', () => expect(fromURL({ app: 'a', server: ['x', 'y'] })).toMatchObject({ app: ['a'], server: ['x', 'y'] }))
})

describe('问 API 的话', () => {
  it('两端、分组、筛选都在，合计与按时间只差桶与名次', () => {
    const time = paramsOf(rich, 'Asia/Tokyo', now)
    expect([...time.entries()]).toEqual([
      ['from', '2026-11-01T00:00:00.000Z'], ['to', '2026-11-02T00:00:00.000Z'], ['interval', 'hour'], ['time_zone', 'Asia/Tokyo'],
      ['server', 'gpu-1'], ['app', 'a b'], ['app', '组'], ['model', 'org/embed'],
      ['group_by', 'server,model'], ['top', '20'], ['order_by', 'cost'], ['percentiles', '50,95,99'],
    ])
    const total = paramsOf(rich, 'Asia/Tokyo', now, 'total')
    expect([total.get('interval'), total.get('top')]).toEqual(['none', '1000'])
  })

  it('不分组就没有名次，到现在为止就没有终点', () => {
    const p = paramsOf({ ...usual, by: [] }, 'UTC', now)
    expect([p.has('top'), p.has('group_by'), p.has('to'), p.get('from')]).toEqual([false, false, false, '2026-11-22T10:20:30.000Z'])
  })

  it('自动的时间桶随长短变', () => {
    const of = (range: UsageView['range']) => intervalOf({ ...usual, range }, span({ ...usual, range }, 'UTC', now), now)
    expect([of('1h'), of('24h'), of('7d'), of('30d')]).toEqual(['minute', 'hour', 'hour', 'day'])
  })
})
