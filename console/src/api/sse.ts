/** Message 是事件流里的一个事件。 */
export interface Message {
  event: string
  data: string
}

/**
 * messages 把 text/event-stream 的字节读成事件；注释行不成事件，但每读到一段字节都会叫一次 alive：
 * 浏览器自带的 EventSource 看不见心跳，也就分不清「没有事」与「断了」。comment 收每一行注释（不带冒号）。
 */
export async function* messages(body: ReadableStream<Uint8Array>, alive: () => void, comment?: (text: string) => void): AsyncGenerator<Message> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader()
  let rest = ''
  let event = ''
  let data: string[] = []
  let afterCR = false
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      alive()
      // 一对 CRLF 可以从中间切开：上一段以 CR 收尾时，这一段开头的 LF 不是另一个换行。
      const lines = (rest + (afterCR && value.startsWith('\n') ? value.slice(1) : value)).split(/\r\n|\n|\r/)
      if (value !== '') afterCR = value.endsWith('\r')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        if (line === '') {
          if (data.length > 0) yield { event: event || 'message', data: data.join('\n') }
          event = ''
          data = []
          continue
        }
        if (line.startsWith(':')) {
          comment?.(line.slice(1).trim())
          continue
        }
        const colon = line.indexOf(':')
        const field = colon < 0 ? line : line.slice(0, colon)
        const text = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
        if (field === 'event') event = text
        if (field === 'data') data.push(text)
      }
    }
  } finally {
    reader.cancel().catch(() => {})
  }
}
