import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { whenUnauthenticated } from './client'
import { openEvents } from './events'

const encode = (s: string) => new TextEncoder().encode(s)

/** Line 是一条手里握着的流。 */
class Line {
  private c!: ReadableStreamDefaultController<Uint8Array>
  aborted = false
  readonly body = new ReadableStream<Uint8Array>({ start: (c) => { this.c = c } })
  say = (s: string) => this.c.enqueue(encode(s))
  end = () => this.c.close()
  fail = () => this.c.error(new TypeError('network'))
  follow(signal: AbortSignal) {
    signal.addEventListener('abort', () => { this.aborted = true; this.c.error(signal.reason) })
  }
}

let lines: (Line | Response | Error)[]
let asked: string[]
const handlers = { event: vi.fn(), alive: vi.fn(), frozen: vi.fn(), down: vi.fn() }
let stop: AbortController

beforeEach(() => {
  vi.useFakeTimers()
  vi.spyOn(Math, 'random').mockReturnValue(0.5)
  asked = []
  lines = []
  stop = new AbortController()
  vi.stubGlobal('fetch', vi.fn(async (url: string, init: RequestInit) => {
    asked.push(url)
    const next = lines.shift()
    if (!next) return new Promise(() => {})
    if (next instanceof Error) throw next
    if (next instanceof Response) return next
    next.follow(init.signal!)
    return new Response(next.body)
  }))
})
afterEach(() => {
  stop.abort()
  vi.useRealTimers()
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
  Object.values(handlers).forEach((f) => f.mockReset())
})

const settle = () => vi.advanceTimersByTimeAsync(0)

describe('openEvents', () => {
  it('事件交出去；流断了说一声，过一会儿再连', async () => {
    const first = new Line()
    const second = new Line()
    lines = [first, second]
    void openEvents(['fleet', 'revision'], handlers, stop.signal)
    await settle()
    first.say('event: fleet\ndata: {"head_revision":3,"nodes":[]}\n\n')
    await settle()
    expect(handlers.event).toHaveBeenCalledWith('fleet', { head_revision: 3, nodes: [] })
    expect(handlers.down).not.toHaveBeenCalled()
    first.end()
    await settle()
    expect(handlers.down).toHaveBeenCalledTimes(1)
    await vi.advanceTimersByTimeAsync(499)
    expect(asked).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(asked).toEqual(Array(2).fill('/api/v1/events?topics=fleet,revision'))
    second.say('event: fleet\ndata: {"head_revision":4,"nodes":[]}\n\n')
    await settle()
    expect(handlers.event).toHaveBeenLastCalledWith('fleet', { head_revision: 4, nodes: [] })
  })

  it('停住的主题另说，不当成一份数', async () => {
    const line = new Line()
    lines = [line]
    void openEvents(['fleet'], handlers, stop.signal)
    await settle()
    line.say('event: frozen\ndata: {"topics":["fleet"]}\n\n')
    await settle()
    expect(handlers.frozen).toHaveBeenCalledWith(['fleet'])
    expect(handlers.event).not.toHaveBeenCalled()
  })

  it('没有动静到了时候就当作断了；心跳算动静', async () => {
    const line = new Line()
    lines = [line]
    void openEvents(['fleet'], handlers, stop.signal)
    await settle()
    for (let i = 0; i < 5; i++) {
      await vi.advanceTimersByTimeAsync(10_000)
      line.say(': beat\n\n')
      await settle()
    }
    expect(handlers.down).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(25_000)
    expect(line.aborted).toBe(true)
    expect(handlers.down).toHaveBeenCalledTimes(1)
  })

  it('连头也等不到同样算断；一次次连不上，等得越来越久，但不过 10 秒', async () => {
    lines = Array.from({ length: 12 }, () => new TypeError('refused'))
    void openEvents(['fleet'], handlers, stop.signal)
    await settle()
    const gaps: number[] = []
    for (let i = 1; i <= 7; i++) {
      const before = Date.now()
      while (asked.length === i) await vi.advanceTimersByTimeAsync(100)
      gaps.push(Date.now() - before)
    }
    expect(gaps).toEqual([500, 1000, 2000, 4000, 8000, 10_000, 10_000])
  })

  it('听到过东西之后再断，等待从头算起', async () => {
    const line = new Line()
    lines = [new TypeError('refused'), new TypeError('refused'), line]
    void openEvents(['fleet'], handlers, stop.signal)
    await vi.advanceTimersByTimeAsync(1500)
    expect(asked).toHaveLength(3)
    line.say(':\n\n')
    await settle()
    line.fail()
    await vi.advanceTimersByTimeAsync(500)
    expect(asked).toHaveLength(4)
  })

  it.each([
    ['end 事件', () => { const l = new Line(); l.say('event: end\ndata: {"status":401,"code":"unauthenticated","detail":"signed out"}\n\n'); return l }],
    ['401', () => Response.json({ status: 401, code: 'unauthenticated', detail: 'signed out' }, { status: 401 })],
  ])('%s 是会话没有了：说出去，不再连', async (_, make) => {
    const lost = vi.fn()
    whenUnauthenticated(lost)
    lines = [make()]
    const over = openEvents(['fleet'], handlers, stop.signal)
    await settle()
    await over
    expect(lost).toHaveBeenCalledWith(expect.objectContaining({ status: 401 }))
    await vi.advanceTimersByTimeAsync(60_000)
    expect(asked).toHaveLength(1)
  })

  it('503 不算会话没有了：再连', async () => {
    const lost = vi.fn()
    whenUnauthenticated(lost)
    lines = [Response.json({ status: 503, code: 'unavailable', detail: 'full' }, { status: 503 })]
    void openEvents(['fleet'], handlers, stop.signal)
    await vi.advanceTimersByTimeAsync(600)
    expect(asked).toHaveLength(2)
    expect(lost).not.toHaveBeenCalled()
  })

  it('叫停就停：连着的断开，等着的不再连', async () => {
    const line = new Line()
    lines = [line]
    const over = openEvents(['fleet'], handlers, stop.signal)
    await settle()
    stop.abort()
    await over
    expect(line.aborted).toBe(true)
    expect(handlers.down).not.toHaveBeenCalled()

    stop = new AbortController()
    lines = [new TypeError('refused')]
    const waiting = openEvents(['fleet'], handlers, stop.signal)
    await settle()
    stop.abort()
    await waiting
    expect(asked).toHaveLength(2)
  })
})
