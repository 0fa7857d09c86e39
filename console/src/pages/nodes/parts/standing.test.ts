import { describe, expect, it } from 'vitest'

import type { Node } from '@/api/live'
import { statusOf } from '@/composables/useNodes'

import { span, standing } from './standing'

const node = (change: Partial<Node> = {}): Node => ({ id: 'n', version: 'v', connected: true, applied_revision: 9, last_seen: '', in_flight: 0, waiting: 0, last_error: '', ...change })

describe('standing', () => {
  it('说得出就是头、落后、拒绝、还没有换上过', () => {
    expect(standing(node(), 9)).toEqual({ kind: 'current', tone: 'ok' })
    expect(standing(node({ applied_revision: 7 }), 9)).toEqual({ kind: 'behind', tone: 'warn' })
    expect(standing(node({ applied_revision: 8, rejected_revision: 9 }), 9)).toEqual({ kind: 'rejected', tone: 'bad' })
    expect(standing(node({ applied_revision: 8, rejected_revision: 6 }), 9)).toEqual({ kind: 'behind', tone: 'warn' })
    expect(standing(node({ applied_revision: 0 }), 9)).toEqual({ kind: 'fresh', tone: 'warn' })
  })

  it('没有连着的谁也不等', () => {
    expect(standing(node({ connected: false, applied_revision: 7 }), 9)).toEqual({ kind: 'away', tone: 'off' })
  })
})

describe('statusOf', () => {
  it('奉命退出的走了不是失联', () => {
    expect(statusOf(node())).toBe('connected')
    expect(statusOf(node({ draining: true }))).toBe('draining')
    expect(statusOf(node({ connected: false }))).toBe('away')
    expect(statusOf(node({ connected: false, draining: true }))).toBe('left')
  })
})

describe('span', () => {
  const say = (key: string, { n }: Record<string, unknown>) => `${n}${key.split('.').pop()}`
  const at = '2026-11-23T00:00:00Z'
  const after = (seconds: number) => new Date(at).getTime() + seconds * 1000

  it('只说最大的两级', () => {
    expect(span(say, at, after(5))).toBe('5second')
    expect(span(say, at, after(65))).toBe('1minute 5second')
    expect(span(say, at, after(3600 + 120 + 3))).toBe('1hour 2minute')
    expect(span(say, at, after(3600))).toBe('1hour')
    expect(span(say, at, after(2 * 86_400 + 3600))).toBe('2day 1hour')
  })

  it('缺席是 –，钟差一点不是负的', () => {
    expect(span(say, undefined, after(5))).toBe('–')
    expect(span(say, at, after(-3))).toBe('0second')
  })
})
