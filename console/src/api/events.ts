import { lostSession, type Schemas } from './client'
import type { Fleet, Overview, Queue } from './live'
import { Problem } from './problem'
import { messages } from './sse'

/** Topics 是各主题的形状；每一份都是完整的。 */
export interface Topics {
  revision: Schemas['Revision']
  fleet: Fleet
  overview: Overview
  queues: Queue[]
}

export type Topic = keyof Topics

/** Handlers 收事件与连接的起落；alive 在每次听到动静（含心跳）时叫。 */
export interface Handlers {
  event<T extends Topic>(topic: T, value: Topics[T]): void
  alive(): void
  /** frozen 收此刻算不出、停在上一份的主题；空的即都是此刻的。 */
  frozen(topics: Topic[]): void
  down(): void
}

// 心跳每 10 秒一次：这么久没有一点动静就是断了，哪怕连接看着还在。
const silenceMs = 25_000
const firstRetryMs = 500
const maxRetryMs = 10_000

/** openEvents 连上事件流，断了就自己再连，直到 signal 说停；会话没有了就不再连。 */
export async function openEvents(topics: Topic[], handlers: Handlers, signal: AbortSignal): Promise<void> {
  let wait = firstRetryMs
  while (!signal.aborted) {
    const heard = await once(topics, handlers, signal)
    if (heard === 'ended' || signal.aborted) return
    handlers.down()
    if (heard === 'some') wait = firstRetryMs
    await pause(wait * (0.75 + Math.random() / 2), signal)
    wait = Math.min(wait * 2, maxRetryMs)
  }
}

/** once 连一次；some 是听到过东西之后断的，none 是什么也没有听到，ended 是会话没有了。 */
async function once(topics: Topic[], handlers: Handlers, signal: AbortSignal): Promise<'some' | 'none' | 'ended'> {
  const attempt = new AbortController()
  const stop = () => attempt.abort()
  signal.addEventListener('abort', stop, { once: true })
  let timer = setTimeout(stop, silenceMs)
  let heard = false
  const alive = () => {
    heard = true
    clearTimeout(timer)
    timer = setTimeout(stop, silenceMs)
    handlers.alive()
  }
  try {
    const response = await fetch(`/api/v1/events?topics=${topics.join(',')}`, {
      signal: attempt.signal, credentials: 'same-origin', headers: { Accept: 'text/event-stream' },
    })
    if (!response.ok || !response.body) {
      lostSession(await Problem.from(response))
      return response.status === 401 || response.status === 403 ? 'ended' : 'none'
    }
    for await (const m of messages(response.body, alive)) {
      if (m.event === 'end') {
        lostSession(Problem.of(401, JSON.parse(m.data)))
        return 'ended'
      }
      if (m.event === 'frozen') handlers.frozen((JSON.parse(m.data) as { topics: Topic[] }).topics)
      else handlers.event(m.event as Topic, JSON.parse(m.data))
    }
  } catch {
    // 断了：外面再连。
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
  }
  return heard ? 'some' : 'none'
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done, { once: true })
  })
}
