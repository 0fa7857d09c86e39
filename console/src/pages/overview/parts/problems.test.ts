import { describe, expect, it } from 'vitest'

import type { OverviewProblem } from '@/api/live'
import en from '@/locales/en/overview.json'

import { causeOf, identity, reasonOf } from './problems'

const problem = (change: Partial<OverviewProblem>): OverviewProblem => ({ kind: 'no_nodes', severity: 'error', detail: 'in English', ...change })
const kinds = Object.keys(en.overview.kind) as OverviewProblem['kind'][]

describe('一处不对', () => {
  it('每一种有句子的都有去处', () => {
    expect(kinds).toHaveLength(13)
    for (const kind of kinds) expect(causeOf(problem({ kind })), kind).toMatch(/^\/\w+/)
  })

  it('去处里的名字经得起斜杠与空格', () => {
    expect(causeOf(problem({ kind: 'node_away', node: 'a/b c' }))).toBe('/nodes?node=a%2Fb%20c')
    expect(causeOf(problem({ kind: 'budget_warning', app: 'a/b' }))).toBe('/apps/a%2Fb')
    expect(causeOf(problem({ kind: 'server_queue', server: 'gpu-1' }))).toBe('/queues?server=gpu-1')
  })

  it('认不得的没有去处；只有句子说不全的才附上英文', () => {
    expect(causeOf(problem({ kind: 'newer' as never }))).toBe('')
    expect(reasonOf(problem({ kind: 'node_rejected' }))).toBe('in English')
    expect(reasonOf(problem({ kind: 'node_away' }))).toBe('')
  })

  it('数变了还是同一处，换了目标就是另一处', () => {
    const a = problem({ kind: 'target_ejected', server: 's', upstream_model: 'm', nodes: 1 })
    expect(identity({ ...a, nodes: 3 })).toBe(identity(a))
    expect(identity({ ...a, upstream_model: 'n' })).not.toBe(identity(a))
  })
})
