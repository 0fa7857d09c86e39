import { afterEach, describe, expect, it, vi } from 'vitest'

import { chat, type ChatRequest, errorOf, GatewayError, placeOf } from './gateway'

const request: ChatRequest = { model: 'chat', stream: true, messages: [{ role: 'user', content: '你好' }] }

afterEach(() => vi.unstubAllGlobals())

function answer(body: string, init: ResponseInit & { type?: string } = {}) {
  const sent = vi.fn(async () => new Response(body, { ...init, headers: { 'content-type': init.type ?? 'text/event-stream', ...init.headers } }))
  vi.stubGlobal('fetch', sent)
  return sent
}

async function listen(signal = new AbortController().signal) {
  const heard = { status: 0, text: '', usage: null as unknown, places: [] as unknown[], error: null as unknown }
  await chat('http://gw', 'vg-key', request, {
    head: (status) => (heard.status = status), text: (d) => (heard.text += d), usage: (u) => (heard.usage = u), place: (p) => heard.places.push(p),
  }, signal).catch((e) => (heard.error = e))
  return heard
}

const chunk = (content: string) => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`

describe('chat', () => {
  it('流一段段地交出去，密钥只在 Authorization 里，不带 cookie', async () => {
    const sent = answer(`: vega-queue position=2 wait_ms=900\n\n${chunk('床前')}${chunk('明月')}data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\ndata: [DONE]\n\n`)
    expect(await listen()).toEqual({ status: 200, text: '床前明月', usage: { prompt: 3, completion: 4 }, places: [{ position: 2, waitMs: 900 }], error: null })
    const [url, init] = sent.mock.calls[0] as unknown as [string, RequestInit]
    expect(url).toBe('http://gw/v1/chat/completions')
    expect(init).toMatchObject({ credentials: 'omit', headers: { Authorization: 'Bearer vg-key', 'x-vega-queue-events': '1' } })
    expect(init.body).not.toContain('vg-key')
  })

  it('不是流的应答整个交出去', async () => {
    answer('{"choices":[{"message":{"content":"好"}}],"usage":{"prompt_tokens":1}}', { type: 'application/json' })
    expect(await listen()).toMatchObject({ text: '好', usage: { prompt: 1, completion: null }, error: null })
  })

  it('OpenAI 形式的错误带着代号与要等的秒数', async () => {
    answer('{"error":{"message":"full","type":"rate_limit_error","param":null,"code":"queue_full"}}', { status: 429, type: 'application/json', headers: { 'retry-after': '7' } })
    const { error } = await listen()
    expect(error).toBeInstanceOf(GatewayError)
    expect(error).toMatchObject({ status: 429, code: 'queue_full', type: 'rate_limit_error', message: 'full', retryAfterSeconds: 7 })
  })

  it('先开了流的错误是一个事件，之前的字留着', async () => {
    answer(`${chunk('半')}data: {"error":{"message":"gone","type":"upstream_error","code":"upstream_error"}}\n\n`)
    expect(await listen()).toMatchObject({ text: '半', error: { status: 200, code: 'upstream_error' } })
  })

  it.each(['', 'data: {"choices"\n\n'])('没有 [DONE] 就断了的流（后面是 %j）是失败', async (tail) => {
    answer(chunk('半') + tail)
    expect(await listen()).toMatchObject({ text: '半', error: { code: 'stream_cut' } })
  })

  it('够不着是 unreachable；自己停下的原样抛出', async () => {
    vi.stubGlobal('fetch', vi.fn().mockRejectedValue(new TypeError('Failed to fetch')))
    expect((await listen()).error).toMatchObject({ status: 0, code: 'unreachable' })
    const stop = new AbortController()
    stop.abort()
    const aborted = new DOMException('stop', 'AbortError')
    vi.stubGlobal('fetch', vi.fn().mockRejectedValue(aborted))
    expect((await listen(stop.signal)).error).toBe(aborted)
  })
})

it('placeOf 只认排队的注释，说不出的是 null', () => {
  expect(placeOf('vega-queue position=12 wait_ms=0')).toEqual({ position: 12, waitMs: 0 })
  expect(placeOf('vega-queue position=1')).toEqual({ position: 1, waitMs: null })
  expect(placeOf('vega-queue')).toEqual({ position: null, waitMs: null })
  expect(placeOf('vega-queues position=1')).toBeNull()
  expect(placeOf('heartbeat')).toBeNull()
})

it('errorOf 读不出 OpenAI 的形式就只凭状态码说话', () => {
  for (const body of [null, 'x', {}, { error: 'x' }, { error: { message: 5 } }]) expect(errorOf(502, body)).toMatchObject({ status: 502, code: '', message: 'HTTP 502' })
})
