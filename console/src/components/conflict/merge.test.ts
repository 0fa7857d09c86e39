import { expect, it } from 'vitest'

import { merge } from './merge'

it('只有一边改的都留下，两边都改的留我的并报出来', () => {
  const base = { a: 1, b: 1, c: 1, d: [1], e: 1 }
  const m = merge(base, { ...base, a: 2, c: 2, e: 3 }, { ...base, b: 9, c: 9, d: [9], e: 3 })
  expect(m.value).toEqual({ a: 2, b: 9, c: 2, d: [9], e: 3 })
  expect(m.theirs).toEqual(['b', 'd'])
  expect(m.both).toEqual(['c'])
})

it('合并出来的不与任何一边共用数组', () => {
  const theirs = { list: [1] }
  const m = merge({ list: [0] }, { list: [0] }, theirs)
  m.value.list.push(2)
  expect(theirs.list).toEqual([1])
})
