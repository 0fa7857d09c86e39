import { describe, expect, it } from 'vitest'

import type { Queue } from '@/api/live'

import { arranged, parts, slotsOf } from './slots'

function queue(server: string, change: Partial<Queue> = {}): Queue {
  return {
    server, limits: { max_concurrency: 8, requests_per_minute: 0, tokens_per_minute: 0 }, in_flight: 0, held: 0, quarantined: 0, free: 8,
    requests_available: null, tokens_available: null, waiting: 0, oldest_wait_ms: null, waiting_by_app: [], estimated_wait_ms: null, regime: 'relaxed', paused: [],
    leader: { address: '', term: 1, learning: false }, ...change,
  }
}

describe('slotsOf', () => {
  it('在途、闲置、隔离、空加起来是限额', () => {
    const s = slotsOf(queue('a', { in_flight: 3, held: 5, quarantined: 1, free: 2 }))
    expect(s).toEqual({ limit: 8, busy: 3, idle: 2, quarantined: 1, free: 2, over: 0 })
    expect(parts(s).map((p) => [p.kind, p.n])).toEqual([['busy', 3], ['idle', 2], ['quarantined', 1], ['free', 2]])
  })

  it('持有的一时报得比在途少，也没有负的闲置', () => {
    expect(slotsOf(queue('a', { in_flight: 4, held: 2 }))).toMatchObject({ busy: 4, idle: 0, free: 4 })
  })

  it('限额刚调低：超出的写出来，空的是零', () => {
    expect(slotsOf(queue('a', { in_flight: 10, held: 10, free: -2 }))).toMatchObject({ busy: 10, free: 0, over: 2 })
  })

  it('不限的没有空位可画', () => {
    const s = slotsOf(queue('a', { limits: { max_concurrency: 0, requests_per_minute: 0, tokens_per_minute: 0 }, in_flight: 7, held: 7, free: null }))
    expect(s).toMatchObject({ limit: null, busy: 7, free: 0, over: 0 })
  })
})

describe('arranged', () => {
  const all = [queue('calm'), queue('b-busy', { in_flight: 4 }), queue('full', { in_flight: 8 }), queue('long', { in_flight: 1, waiting: 9 }), queue('a-busy', { in_flight: 4 })]

  it('等得多的在前，再是占得满的，一样的按名字', () => {
    expect(arranged(all, '', 'all').map((q) => q.server)).toEqual(['long', 'full', 'a-busy', 'b-busy', 'calm'])
  })

  it('筛有在途的、有在等的与名字', () => {
    expect(arranged(all, '', 'active').map((q) => q.server)).toEqual(['long', 'full', 'a-busy', 'b-busy'])
    expect(arranged(all, '', 'waiting').map((q) => q.server)).toEqual(['long'])
    expect(arranged(all, ' busy ', 'all').map((q) => q.server)).toEqual(['a-busy', 'b-busy'])
  })
})
