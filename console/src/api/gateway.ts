import { messages } from './sse'

/** ChatMessage 是对话里的一句。 */
export interface ChatMessage {
  role: 'system' | 'user' | 'assistant'
  content: string
}

/** ChatRequest 是一次对话要的东西，字段名与线上的一致；没有的字段不发。 */
export interface ChatRequest {
  model: string
  messages: ChatMessage[]
  stream?: boolean
  stream_options?: { include_usage: boolean }
  temperature?: number
  max_tokens?: number
}

/** Usage 是上游报的 token 数；没有报的是 null。 */
export interface Usage {
  prompt: number | null
  completion: number | null
}

/** Place 是排队时的位置；说不出的是 null。 */
export interface Place {
  position: number | null
  waitMs: number | null
}

/** ChatHandlers 收一次对话里陆续来到的东西。 */
export interface ChatHandlers {
  head(status: number, headers: [string, string][]): void
  text(delta: string): void
  usage(u: Usage): void
  place(p: Place): void
}

/** GatewayError 是网关的一次失败，OpenAI 的形式；够不着网关时 status 为 0，先开了流才失败的是 200。 */
export class GatewayError extends Error {
  constructor(readonly status: number, readonly code: string, readonly type: string, message: string, readonly retryAfterSeconds = 0) {
    super(message)
    this.name = 'GatewayError'
  }
}

/** errorOf 读 OpenAI 形式的错误体；不是那个样子的只凭状态码说话。 */
export function errorOf(status: number, body: unknown, retryAfterSeconds = 0): GatewayError {
  const e = (body as { error?: { message?: unknown; code?: unknown; type?: unknown } } | null)?.error
  const text = (v: unknown) => (typeof v === 'string' ? v : '')
  return new GatewayError(status, text(e?.code), text(e?.type), text(e?.message) || `HTTP ${status}`, retryAfterSeconds)
}

/** placeOf 读一行排队的注释，如 "vega-queue position=3 wait_ms=1200"；别的注释是 null。 */
export function placeOf(comment: string): Place | null {
  if (!/^vega-queue( |$)/.test(comment)) return null
  const number = (name: string) => {
    const m = new RegExp(` ${name}=(\\d+)`).exec(comment)
    return m ? Number(m[1]) : null
  }
  return { position: number('position'), waitMs: number('wait_ms') }
}

interface Wire {
  choices?: { delta?: { content?: string | null }; message?: { content?: string | null } }[]
  usage?: { prompt_tokens?: number; completion_tokens?: number } | null
  error?: unknown
}

/** take 把一块流或一份整的应答交出去；块里是错误就抛出。 */
export function take(wire: Wire, status: number, handlers: ChatHandlers): void {
  if (wire.error) throw errorOf(status, wire)
  const choice = wire.choices?.[0]
  const text = choice?.delta?.content ?? choice?.message?.content ?? ''
  if (text) handlers.text(text)
  if (wire.usage) handlers.usage({ prompt: wire.usage.prompt_tokens ?? null, completion: wire.usage.completion_tokens ?? null })
}

/**
 * chat 从浏览器直接向数据面发一次对话；密钥只在这一个请求的头里，从不经过控制面。
 * 失败抛出 GatewayError，signal 停下的抛出 AbortError；流没有收尾就断了也是失败。
 */
export async function chat(base: string, key: string, request: ChatRequest, handlers: ChatHandlers, signal: AbortSignal): Promise<void> {
  const response = await reach(`${base}/v1/chat/completions`, key, request, signal)
  handlers.head(response.status, [...response.headers.entries()])
  if (!response.ok) throw errorOf(response.status, await response.json().catch(() => null), Number(response.headers.get('retry-after')) || 0)
  if (!response.headers.get('content-type')?.startsWith('text/event-stream') || !response.body) {
    take((await response.json()) as Wire, response.status, handlers)
    return
  }
  const comment = (text: string) => {
    const place = placeOf(text)
    if (place) handlers.place(place)
  }
  let done = false
  try {
    for await (const m of messages(response.body, () => {}, comment)) {
      // [DONE] 之后还要读到头：先走了，网关就当客户端半路挂断。
      if (m.data === '[DONE]') done = true
      else take(JSON.parse(m.data) as Wire, response.status, handlers)
    }
  } catch (e) {
    if (signal.aborted || e instanceof GatewayError) throw e
  }
  if (done) return
  throw new GatewayError(response.status, 'stream_cut', '', 'the stream ended before [DONE]')
}

async function reach(url: string, key: string, request: ChatRequest, signal: AbortSignal): Promise<Response> {
  try {
    return await fetch(url, {
      method: 'POST', signal, credentials: 'omit', referrerPolicy: 'no-referrer',
      // 流先于许可打开，排到第几才看得见。
      headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json', ...(request.stream ? { 'x-vega-queue-events': '1' } : {}) },
      body: JSON.stringify(request),
    })
  } catch (e) {
    if (signal.aborted) throw e
    throw new GatewayError(0, 'unreachable', '', `${url} cannot be reached`)
  }
}
