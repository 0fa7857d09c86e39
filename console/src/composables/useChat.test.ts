import { beforeEach, expect, it, vi } from 'vitest'
import { effectScope } from 'vue'

import { type ChatHandlers, type ChatRequest, GatewayError } from '@/api/gateway'

import { useChat } from './useChat'

interface Call { request: ChatRequest; handlers: ChatHandlers; signal: AbortSignal; end: () => void; fail: (e: unknown) => void }

const calls = vi.hoisted(() => [] as Call[])
vi.mock('@/api/gateway', async (original) => ({
  ...(await original<typeof import('@/api/gateway')>()),
  chat: (_base: string, _key: string, request: ChatRequest, handlers: ChatHandlers, signal: AbortSignal) =>
    new Promise<void>((end, fail) => {
      calls.push({ request, handlers, signal, end, fail })
      signal.addEventListener('abort', () => fail(signal.reason))
    }),
}))
beforeEach(() => { calls.length = 0 })

const settle = () => new Promise((r) => setTimeout(r))
function start() {
  const scope = effectScope()
  const c = scope.run(useChat)!
  const ask = (text: string) => { c.say(text); void c.send('http://gw', 'k', { model: 'm', stream: true }, '短些') }
  return { ...c, ask, leave: () => scope.stop() }
}

it('一问一答都带着先前的话；排队、来字、用量一路看得见', async () => {
  const c = start()
  c.ask('一')
  expect(c.run.phase).toBe('waiting')
  calls[0]!.handlers.place({ position: 2, waitMs: null })
  expect(c.run).toMatchObject({ phase: 'queued', place: { position: 2 } })
  calls[0]!.handlers.text('答')
  calls[0]!.handlers.text('一')
  calls[0]!.handlers.usage({ prompt: 3, completion: 2 })
  calls[0]!.end()
  await settle()
  expect(c.run).toMatchObject({ phase: 'done', usage: { completion: 2 } })
  expect(c.pace.value).toBeGreaterThan(0)
  c.ask('二')
  expect(calls[1]!.request.messages.map((m) => `${m.role}:${m.content}`)).toEqual(['system:短些', 'user:一', 'assistant:答一', 'user:二'])
  expect(c.run).toMatchObject({ phase: 'waiting', usage: null, firstMs: null })
})

it('失败的空答不留下，再试时问的还是那一句；断在半路的不带上', async () => {
  const c = start()
  c.ask('一')
  calls[0]!.fail(new GatewayError(401, 'invalid_api_key', '', 'no'))
  await settle()
  expect(c.turns.value).toEqual([{ role: 'user', content: '一' }])
  expect(c.run).toMatchObject({ phase: 'failed', error: { code: 'invalid_api_key' } })
  void c.send('http://gw', 'k', { model: 'm' }, '')
  calls[1]!.handlers.text('半')
  calls[1]!.fail(new GatewayError(200, 'stream_cut', '', 'cut'))
  await settle()
  expect(c.turns.value).toHaveLength(2)
  void c.send('http://gw', 'k', { model: 'm' }, '')
  expect(calls[2]!.request.messages).toEqual([{ role: 'user', content: '一' }])
})

it('停下、重新开始、离开页面都断开连接，不算失败；断开之后的不作数', async () => {
  const c = start()
  c.ask('一')
  calls[0]!.handlers.text('半')
  c.stop()
  await settle()
  expect(calls[0]!.signal.aborted).toBe(true)
  expect(c.run).toMatchObject({ phase: 'stopped', error: null })
  c.ask('二')
  c.clear()
  await settle()
  expect(calls[1]!.signal.aborted).toBe(true)
  expect([c.turns.value, c.run.phase]).toEqual([[], 'idle'])
  c.ask('三')
  c.leave()
  expect(calls[2]!.signal.aborted).toBe(true)
})
