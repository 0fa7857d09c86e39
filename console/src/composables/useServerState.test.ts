import { describe, expect, it } from 'vitest'

import type { Node, Queue } from '@/api/live'

import { stateOf } from './useServerState'

const queue = (q: Partial<Queue>) => ({ server: 'a', limits: { max_concurrency: 2 }, in_flight: 0, paused: [], ...q }) as Queue
const node = (id: string, connected: boolean, servers: string[]) =>
  ({ id, connected, ejections: servers.map((server) => ({ server, upstream_model: 'm', reason: 'refused', until: '2026-01-01T00:00:00Z' })) }) as Node

describe('stateOf', () => {
  it('停用盖过一切，摘出盖过暂停，暂停盖过满', () => {
    const busy = queue({ in_flight: 2, paused: [{ upstream_model: 'm', until: '2026-01-01T00:00:09Z' }] })
    const nodes = [node('n1', true, ['a'])]
    expect(stateOf({ name: 'a', enabled: false }, busy, nodes, true).kind).toBe('disabled')
    expect(stateOf({ name: 'a', enabled: true }, busy, nodes, true).kind).toBe('ejected')
    expect(stateOf({ name: 'a', enabled: true }, busy, [], true)).toMatchObject({ kind: 'paused', pausedUntil: '2026-01-01T00:00:09Z' })
    expect(stateOf({ name: 'a', enabled: true }, queue({ in_flight: 2 }), [], true).kind).toBe('full')
    expect(stateOf({ name: 'a', enabled: true }, queue({ in_flight: 5, limits: {} }), [], true).kind).toBe('ok')
  })

  it('数节点而不数目标，离线节点的旧话不算', () => {
    const s = stateOf({ name: 'a', enabled: true }, undefined, [node('n1', true, ['a', 'a', 'b']), node('n2', false, ['a']), node('n3', true, [])], true)
    expect(s).toMatchObject({ ejectedBy: 1, nodes: 2 })
    expect(s.ejections).toHaveLength(2)
  })
})
