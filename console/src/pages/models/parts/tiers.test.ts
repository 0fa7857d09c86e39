import { describe, expect, it } from 'vitest'

import type { Target } from '@/api/models'

import { moved, sharesOf, split, stepped, swapped, targetsOf, type Tier, tiersOf } from './tiers'

const target = (server: string, priority: number, weight = 1): Target => ({ server, upstream_model: 'm', weight, priority })
const shape = (tiers: Tier[]) => tiers.map((t) => t.targets.map((x) => x.server).join(','))
const three = () => tiersOf([target('a', 0), target('b', 0), target('c', 10)], 'm')

describe('层', () => {
  it('小的在前；没有动过的层号照旧，读来再写回去一样', () => {
    const tiers = tiersOf([target('c', 10, 0), target('a', 5), target('b', 5, 3)], 'other')
    expect(shape(tiers)).toEqual(['a,b', 'c'])
    expect(targetsOf(tiers)).toEqual([
      { server: 'a', upstream_model: 'm', weight: 1, priority: 5 }, { server: 'b', upstream_model: 'm', weight: 3, priority: 5 }, { server: 'c', upstream_model: 'm', weight: 0, priority: 10 },
    ])
  })

  it('与公开名相同的上游名、没有填的权重都缺席', () => {
    const tiers = three()
    tiers[0]!.targets[0]!.weight = null
    expect(targetsOf(tiers)[0]).toEqual({ server: 'a', priority: 0 })
  })

  it('挪到后面的位置不差一格，空了的层收走', () => {
    expect(shape(moved(three(), { tier: 0, index: 0 }, { tier: 0, index: 2 }))).toEqual(['b,a', 'c'])
    expect(shape(moved(three(), { tier: 0, index: 1 }, { tier: 0, index: 0 }))).toEqual(['b,a', 'c'])
    expect(shape(moved(three(), { tier: 1, index: 0 }, { tier: 0, index: 1 }))).toEqual(['a,c,b'])
  })

  it('自成一层之后重新编号', () => {
    const tiers = split(three(), { tier: 0, index: 0 }, 2)
    expect(shape(tiers)).toEqual(['b', 'c', 'a'])
    expect(targetsOf(tiers).map((t) => t.priority)).toEqual([0, 1, 2])
  })

  it('键盘一步一步走完全程，尽头不动', () => {
    let tiers = three()
    const seen: string[][] = []
    for (let i = 0; i < 6; i++) {
      const tier = tiers.findIndex((t) => t.targets.some((x) => x.server === 'a'))
      tiers = stepped(tiers, { tier, index: tiers[tier]!.targets.findIndex((x) => x.server === 'a') }, 1)
      seen.push(shape(tiers))
    }
    expect(seen).toEqual([['b,a', 'c'], ['b', 'a,c'], ['b', 'c,a'], ['b', 'c', 'a'], ['b', 'c', 'a'], ['b', 'c', 'a']])
    expect(shape(stepped(three(), { tier: 0, index: 0 }, -1))).toEqual(['a', 'b', 'c'])
    expect(shape(stepped(three(), { tier: 1, index: 0 }, -1))).toEqual(['a,b,c'])
  })

  it('两层对调，层号跟着升', () => {
    const tiers = swapped(three(), 1, -1)
    expect(shape(tiers)).toEqual(['c', 'a,b'])
    expect(targetsOf(tiers).map((t) => t.priority)).toEqual([0, 1, 1])
    expect(shape(swapped(three(), 0, -1))).toEqual(['a,b', 'c'])
  })
})

it('份额：没有填的算一，全是零的都是零', () => {
  expect(sharesOf([{ weight: 3 }, {}])).toEqual([0.75, 0.25])
  expect(sharesOf([{ weight: 0 }, { weight: 2 }])).toEqual([0, 1])
  expect(sharesOf([{ weight: 0 }, { weight: 0 }])).toEqual([0, 0])
  expect(sharesOf([])).toEqual([])
})
