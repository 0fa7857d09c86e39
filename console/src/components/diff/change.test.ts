import { describe, expect, it } from 'vitest'

import { count, type DiffChange, lines, matching, ordered, written } from './change'

const change = (action: DiffChange['action'], kind: string, name: string, path?: string): DiffChange => ({ action, kind, name, ...(path ? { fields: [{ path, from: 1, to: 2 }] } : {}) })

describe('变化', () => {
  it('数出各做了多少', () => {
    expect(count([change('created', 'app', 'a'), change('deleted', 'app', 'b'), change('created', 'key', 'a/k')])).toEqual({ created: 2, updated: 0, deleted: 1 })
  })

  it('删除在最前，再按种类与名字', () => {
    const all = [change('created', 'app', 'b'), change('created', 'app', 'a'), change('updated', 'operator', 'x'), change('updated', 'server', 's'), change('deleted', 'key', 'a/k')]
    expect(ordered(all).map((c) => c.name)).toEqual(['a/k', 's', 'x', 'a', 'b'])
  })

  it('按名字、种类与字段找', () => {
    const all = [change('updated', 'server', 'gpu-1', 'limits.max_concurrency'), change('created', 'app', 'team')]
    expect(matching(all, '  CONCURR ').map((c) => c.name)).toEqual(['gpu-1'])
    expect(matching(all, 'app').map((c) => c.name)).toEqual(['team'])
    expect(matching(all, '')).toHaveLength(2)
  })
})

describe('值', () => {
  it('没有的是空串，零与否不是没有', () => {
    expect([null, undefined, 0, false, '', 'x'].map(written)).toEqual(['', '', '0', 'false', '', 'x'])
  })

  it('短的写在一行，长的换行', () => {
    expect(written(['a', 'b'])).toBe('["a","b"]')
    expect(written([{ server: 'gpu-1', upstream_model: 'something-long', weight: 1, priority: 0 }]).split('\n').length).toBeGreaterThan(4)
  })
})

describe('逐行', () => {
  it('相同的只写一次，旧的在新的前面', () => {
    expect(lines('a\nb\nc', 'a\nx\nc').map((l) => l.side[0] + l.text)).toEqual(['sa', 'fb', 'tx', 'sc'])
  })

  it('一边是空的即全是增或全是删', () => {
    expect(lines('', 'a\nb').every((l) => l.side === 'to')).toBe(true)
    expect(lines('a', '').every((l) => l.side === 'from')).toBe(true)
    expect(lines('', '')).toEqual([])
  })

  it('两边都还原得出来', () => {
    const from = 'q w e r t y'.split(' ').join('\n')
    const to = 'w q e t z y'.split(' ').join('\n')
    const all = lines(from, to)
    expect(all.filter((l) => l.side !== 'to').map((l) => l.text).join('\n')).toBe(from)
    expect(all.filter((l) => l.side !== 'from').map((l) => l.text).join('\n')).toBe(to)
  })

  it('行极多时不求最省，仍然一行不丢', () => {
    const long = (p: string) => Array.from({ length: 600 }, (_, i) => p + i).join('\n')
    expect(lines(long('a'), long('b'))).toHaveLength(1200)
  })
})
