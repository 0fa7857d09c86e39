import { describe, expect, it } from 'vitest'

import type { Server } from '@/api/servers'

import { emptyForm, formOf, inputOf } from './form'

const stored = {
  name: 'gpu-1', provider: 'openai', base_url: 'http://127.0.0.1:9/v1', enabled: true,
  limits: { max_concurrency: 8, requests_per_minute: 0, tokens_per_minute: 0 },
  queue: { timeout_ms: 10, max_waiting: 0 }, timeouts: { connect_ms: 1, first_byte_ms: 2, idle_ms: 3, total_ms: 4 },
  abort_grace_ms: 0, burst_percent: 10, on_disconnect: 'drain', drain: { timeout_ms: 5, max_tokens: 6, max_concurrency: 7 },
  stream_usage: 'never', headers: { 'X-Team': '' }, version: 3, has_api_key: true, api_key_hint: '…9f3a',
} as unknown as Server

describe('表单与 API 之间', () => {
  it('没有填的数缺席，写了 0 的是 0', () => {
    const form = { ...emptyForm(), name: 'a', base_url: 'http://x/v1', abort_grace_ms: 0, 'queue.max_waiting': 0 }
    const input = inputOf(form)
    expect(input.queue).toEqual({ max_waiting: 0 })
    expect(input.abort_grace_ms).toBe(0)
    expect(input).not.toHaveProperty('timeouts')
    expect(input).not.toHaveProperty('limits')
    expect(input).not.toHaveProperty('burst_percent')
  })

  it('凭证：保持是缺席，清除是空串，换掉是新的；没有写新的就不碰', () => {
    const form = formOf(stored)
    expect(form.key).toBe('keep')
    expect(inputOf(form)).not.toHaveProperty('api_key')
    expect(inputOf({ ...form, key: 'clear' }).api_key).toBe('')
    expect(inputOf({ ...form, key: 'replace', api_key: 'sk-new' }).api_key).toBe('sk-new')
    expect(inputOf({ ...form, key: 'replace', api_key: '' })).not.toHaveProperty('api_key')
  })

  it('限额的 0 显示为不限，别处的 0 照样是 0；读来再写回去一样', () => {
    const form = formOf(stored)
    expect(form['limits.requests_per_minute']).toBeNull()
    expect(form['queue.max_waiting']).toBe(0)
    expect(form.abort_grace_ms).toBe(0)
    const back = inputOf(form)
    expect(back).toEqual({
      name: 'gpu-1', provider: 'openai', base_url: stored.base_url, enabled: true, limits: { max_concurrency: 8 }, queue: stored.queue, timeouts: stored.timeouts,
      abort_grace_ms: 0, burst_percent: 10, on_disconnect: 'drain', drain: stored.drain, stream_usage: 'never', headers: { 'X-Team': '' },
    })
  })

  it('没有名字的头不写，空的 CA 与代理缺席', () => {
    const input = inputOf({ ...emptyForm(), headers: [{ name: ' ', value: 'x' }, { name: ' X-A ', value: '1' }], ca_pem: '\n', proxy_url: ' ' })
    expect(input.headers).toEqual({ 'X-A': '1' })
    expect(input).not.toHaveProperty('ca_pem')
    expect(input).not.toHaveProperty('proxy_url')
  })
})
