import { describe, expect, it, vi } from 'vitest'

import { messages, type Message } from './sse'

function body(...parts: (string | Uint8Array)[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(c) {
      for (const p of parts) c.enqueue(typeof p === 'string' ? new TextEncoder().encode(p) : p)
      c.close()
    },
  })
}

async function all(stream: ReadableStream<Uint8Array>, comment?: (t: string) => void): Promise<Message[]> {
  const got: Message[] = []
  for await (const m of messages(stream, () => {}, comment)) got.push(m)
  return got
}

const text = 'event: a\r\ndata: 床前\r\ndata: 明月光\r\n\r\n: vega-queue position=3\r\n\r\ndata:{"x":1}\r\n\r\n'
const want = [{ event: 'a', data: '床前\n明月光' }, { event: 'message', data: '{"x":1}' }]

describe('事件流', () => {
  it.each(['\n', '\r\n', '\r'])('换行是 %j 都读得懂', async (eol) => {
    expect(await all(body(text.replaceAll('\r\n', eol)))).toEqual(want)
  })

  it('在任何一个字节切开都一样：CRLF 与汉字的中间也是', async () => {
    const bytes = new TextEncoder().encode(text)
    for (let i = 0; i <= bytes.length; i++) expect(await all(body(bytes.slice(0, i), bytes.slice(i))), `cut at ${i}`).toEqual(want)
    expect(await all(body(...Array.from(bytes, (b) => new Uint8Array([b]))))).toEqual(want)
  })

  it('注释不成事件，交给 comment；每一段都算动静', async () => {
    const comment = vi.fn()
    expect(await all(body(text), comment)).toEqual(want)
    expect(comment.mock.calls).toEqual([['vega-queue position=3']])
    const alive = vi.fn()
    for await (const m of messages(body(': beat\n', '\n'), alive)) expect(m).toBeUndefined()
    expect(alive).toHaveBeenCalledTimes(2)
  })

  it('没有空行收尾的半个事件不算；没有 data 的事件名不带到下一个', async () => {
    expect(await all(body('event: a\n\ndata: 1\n\ndata: half'))).toEqual([{ event: 'message', data: '1' }])
  })

  it('读的人先走，就把流关掉', async () => {
    const cancel = vi.fn()
    const stream = new ReadableStream<Uint8Array>({ pull: (c) => c.enqueue(new TextEncoder().encode('data: 1\n\n')), cancel })
    for await (const m of messages(stream, () => {})) {
      expect(m.data).toBe('1')
      break
    }
    await vi.waitFor(() => expect(cancel).toHaveBeenCalled())
  })
})
