import { expect, it } from 'vitest'

import type { Node } from '@/api/live'

import { rolloutOf } from './useRollout'

const node = (id: string, applied: number, more: Partial<Node> = {}): Node =>
  ({ id, version: '1', connected: true, draining: false, applied_revision: applied, last_seen: '', in_flight: 0, waiting: 0, last_error: '', ...more }) as Node

it('数连着的：换上的、没换上的、拒绝的', () => {
  const r = rolloutOf(5, [node('a', 5), node('b', 4), node('c', 4, { rejected_revision: 5 }), node('d', 6), node('e', 1, { connected: false }), node('f', 1, { draining: true })])
  expect(r).toMatchObject({ connected: 4, applied: 2, pending: ['b'], done: false })
  expect(r.rejected.map((n) => n.id)).toEqual(['c'])
})

it('跳过这一版、拒绝了更新的一版：不再等它', () => {
  expect(rolloutOf(5, [node('a', 4, { rejected_revision: 6 })])).toMatchObject({ applied: 0, pending: [], done: true })
  // 从前拒绝过更旧的，与这一版无关。
  expect(rolloutOf(5, [node('a', 4, { rejected_revision: 3 })])).toMatchObject({ pending: ['a'], done: false })
})

it('没有连着的节点就没有谁可等', () => {
  expect(rolloutOf(5, [])).toMatchObject({ connected: 0, applied: 0, done: true })
})
