import { describe, expect, it } from 'vitest'

import type { App } from '@/api/apps'
import { settingsOf } from '@/api/apps'
import type { Key } from '@/api/keys'

import { budgetMissing, emptyForm, formOf, settingsFrom } from './form'
import { curlLine, found, nextName, stateOf } from './keys'
import { allowed, idle, match } from './patterns'

describe('通配', () => {
  it.each([
    ['*', 'anything', true], ['gpt-*', 'gpt-4o', true], ['gpt-*', 'xgpt-4o', false], ['*-mini', 'o3-mini', true], ['a*b*c', 'axxbyyc', true],
    ['a*b*c', 'axxcyyb', false], ['a*a', 'a', false], ['exact', 'exact', true], ['exact', 'exactly', false], ['**', '', true], ['org/*', 'org/embed', true],
  ])('%s 对 %s：%s', (pattern, name, want) => expect(match(pattern, name)).toBe(want))

  it('放行的与什么也不放行的', () => {
    const names = ['chat', 'slow', 'org/embed']
    expect(allowed(['s*', 'chat'], names)).toEqual(['chat', 'slow'])
    expect(allowed([], names)).toEqual([])
    expect(idle(['s*', 'gpt-*'], names)).toEqual(['gpt-*'])
  })
})

const app: App = { name: 'a', enabled: false, weight: 3, class: 'batch', limits: { max_concurrency: 4, requests_per_minute: 0 }, models: ['x*'], default_server: 'gpu-1', budget: { amount: 5, period: 'day', time_zone: 'Asia/Tokyo', soft_percent: 50 }, keys: [{ name: 'k' }], version: 7 }

describe('表单', () => {
  it('写进去再写出来，意思不变，而且从不带密钥', () => {
    const out = settingsFrom(formOf(app))
    expect(out).toEqual({ name: 'a', enabled: false, weight: 3, class: 'batch', limits: { max_concurrency: 4, requests_per_minute: 0, tokens_per_minute: 0 }, models: ['x*'], default_server: 'gpu-1', budget: { amount: 5, tokens: 0, period: 'day', time_zone: 'Asia/Tokyo', soft_percent: 50 } })
    expect('keys' in out).toBe(false)
  })

  it('没有预算即空的；打开却一样没有给要先说', () => {
    const f = emptyForm('Asia/Shanghai')
    expect(settingsFrom(f).budget).toEqual({})
    expect(budgetMissing(f)).toBe(false)
    expect(budgetMissing({ ...f, budgeted: true })).toBe(true)
    expect(budgetMissing({ ...f, budgeted: true, tokens: 1 })).toBe(false)
  })

  it('警告线为 0 是不警告，不是缺省', () => {
    expect(formOf({ ...app, budget: { amount: 1, period: 'month', time_zone: 'UTC', soft_percent: 0 } }).soft_percent).toBe(0)
  })

  it('写回去的部分没有密钥与版本，原来的不动', () => {
    expect(Object.keys(settingsOf(app))).not.toContain('keys')
    expect(Object.keys(settingsOf(app))).not.toContain('version')
    expect(app.keys).toHaveLength(1)
  })
})

describe('密钥', () => {
  const now = Date.parse('2026-01-01T00:00:00Z')
  const key = (name: string, expires_at: string | null, hint = 'abcd'): Key => ({ id: name, name, hint, created_at: '2025-01-01T00:00:00Z', expires_at, last_used_at: null })

  it('处境', () => {
    expect(stateOf(key('a', null), now)).toBe('active')
    expect(stateOf(key('a', '2026-03-01T00:00:00Z'), now)).toBe('active')
    expect(stateOf(key('a', '2026-01-05T00:00:00Z'), now)).toBe('soon')
    expect(stateOf(key('a', '2026-01-01T00:00:00Z'), now)).toBe('expired')
  })

  it('轮换的名字跳过有了的', () => {
    expect(nextName('default', ['default'])).toBe('default-2')
    expect(nextName('default-2', ['default-2', 'default-3'])).toBe('default-4')
  })

  it('按名字、末四位与处境找', () => {
    const all = [key('ci', null, 'wxyz'), key('prod', '2025-06-01T00:00:00Z')]
    expect(found(all, 'WX', '', now).map((k) => k.name)).toEqual(['ci'])
    expect(found(all, '', 'expired', now).map((k) => k.name)).toEqual(['prod'])
  })

  it('一行命令不让引号跑出来', () => {
    expect(curlLine('http://h:1/', "vg-'x", "it's")).toBe(`curl http://h:1/v1/chat/completions \\\n  -H 'Authorization: Bearer vg-'\\''x' \\\n  -H 'Content-Type: application/json' \\\n  -d '{"model":"it'\\''s","messages":[{"role":"user","content":"hello"}]}'`)
  })
})
