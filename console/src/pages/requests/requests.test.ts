import { describe, expect, it } from 'vitest'

import type { Attempt, Request } from '@/api/requests'

import { type Filter, fromURL, paramsOf, toURL, usual } from './filter'
import { storyOf, ticksOf } from './story'
import { merged, most, since } from './tail'

const now = Date.parse('2026-11-23T10:00:00Z')
const rich: Filter = {
  range: 'custom', from: now - 1000, to: now, q: 'gpu', id: '', app: ['a', '组'], key: ['a/k'], model: ['org/embed'], server: ['gpu-1'], outcome: ['limited', 'aborted'], status: ['0', '429'],
  source: ['partial'], stream: 'true', min: '1500', tail: true, cursor: 'abc', at: now,
}
const request = (id: string, second: number, more: Partial<Request> = {}) => ({ id, ended_at: new Date(now + second * 1000).toISOString(), ...more }) as Request

describe('地址里的筛选', () => {
  it('写进地址再读回来是同一个；缺省的什么也不写', () => {
    for (const f of [usual, rich]) expect(fromURL(toURL(f))).toEqual(f)
    expect(toURL(usual)).toEqual({})
  })

  it('读不懂的是缺省', () => {
    expect(fromURL({ range: 'lastMonth', outcome: 'sad', status: 'x', stream: 'maybe', min: '-3', source: 'rumour' })).toEqual(usual)
  })

  it('各项都问到，认准一个号就不论时间', () => {
    const p = paramsOf(rich, 'UTC', now, 100)
    expect([p.getAll('app'), p.getAll('status'), p.get('min_duration_ms'), p.get('cursor'), p.get('to'), p.get('limit')])
      .toEqual([['a', '组'], ['0', '429'], '1500', 'abc', '2026-11-23T10:00:00.000Z', '100'])
    expect(paramsOf({ ...usual, id: 'x' }, 'UTC', now, 1).has('from')).toBe(false)
  })
})

describe('跟着看', () => {
  it('一个号只有一条，由新到旧，晚到的插进该去的地方', () => {
    const rows = merged([request('b', 2)], [request('c', 3), request('b', 2), request('a', 1)])
    expect(rows.map((r) => r.id)).toEqual(['c', 'b', 'a'])
    expect(merged(rows, [request('a', 1)])).toBe(rows)
    expect(since(rows)).toBe(now + 3000 - 10_000)
    expect(since([])).toBeNull()
  })

  it('至多留这么多，丢掉的是旧的', () => {
    const rows = merged([], Array.from({ length: most + 50 }, (_, i) => request(String(i), i)))
    expect([rows.length, rows[0]!.id, rows.at(-1)!.id]).toEqual([most, String(most + 49), '50'])
  })
})

describe('一个请求的经过', () => {
  const attempt = (number: number, duration_ms: number) => ({ number, duration_ms }) as Attempt
  it('排队之后依次是各次调用，最后一次与请求一同结束，空着的在两次之间', () => {
    const s = storyOf(request('x', 0, { queue_ms: 10, duration_ms: 100, first_byte_ms: 60, attempts: [attempt(1, 20), attempt(2, 50)] }))
    expect(s.steps.map((x) => [x.kind, x.from, x.to])).toEqual([['queue', 0, 10], ['attempt', 10, 30], ['attempt', 50, 100]])
    expect([s.total, s.firstByte]).toEqual([100, 60])
  })

  it('只有一次的，空着的在它之前；没有排队就没有那一段', () => {
    expect(storyOf(request('x', 0, { queue_ms: 0, duration_ms: 100, first_byte_ms: null, attempts: [attempt(1, 90)] })).steps.map((x) => [x.kind, x.from, x.to])).toEqual([['attempt', 10, 100]])
  })

  it('各段加起来比记的时长还长（取整）时，轴放得下各段', () => {
    expect(storyOf(request('x', 0, { queue_ms: 1, duration_ms: 10, attempts: [attempt(1, 10)] })).total).toBe(11)
  })

  it('刻度是整的步长', () => {
    expect(ticksOf(100)).toEqual([0, 20, 40, 60, 80, 100])
    expect(ticksOf(7.2)).toEqual([0, 2, 4, 6])
    expect(ticksOf(3100)).toEqual([0, 1000, 2000, 3000])
  })
})
