import { computed, onScopeDispose, reactive, ref } from 'vue'

import { chat, type ChatMessage, type ChatRequest, GatewayError, type Place, type Usage } from '@/api/gateway'

export type { ChatMessage, ChatRequest }

/** Phase：waiting 发出了还没有字，queued 在排队，answering 正在来字；stopped 是自己停的。 */
export type Phase = 'idle' | 'waiting' | 'queued' | 'answering' | 'done' | 'stopped' | 'failed'

/** Run 是最近一次请求看得见的一切；时间是毫秒，从发出起。 */
export interface Run {
  phase: Phase
  status: number
  headers: [string, string][]
  place: Place | null
  usage: Usage | null
  firstMs: number | null
  totalMs: number | null
  error: GatewayError | null
}

const fresh = (): Run => ({ phase: 'idle', status: 0, headers: [], place: null, usage: null, firstMs: null, totalMs: null, error: null })

/** useChat 是一场对话：说一句、听着答、停下、再试。离开页面即停下。 */
export function useChat() {
  const turns = ref<ChatMessage[]>([])
  const run = reactive<Run>(fresh())
  let running: AbortController | null = null

  const busy = computed(() => ['waiting', 'queued', 'answering'].includes(run.phase))
  /** pace 是每秒的输出 token：流从第一个字算起，整的从头算起；不知道则为 null。 */
  const pace = computed(() => {
    const tokens = run.usage?.completion
    if (!tokens || run.totalMs === null || run.firstMs === null) return null
    const span = run.totalMs - run.firstMs
    return (tokens / (span > 1 ? span : run.totalMs)) * 1000
  })

  /** send 发出 request，它的 messages 由 system 与眼前的对话补上。 */
  async function send(base: string, key: string, request: Omit<ChatRequest, 'messages'>, system: string): Promise<void> {
    running?.abort()
    const mine = new AbortController()
    running = mine
    Object.assign(run, fresh(), { phase: 'waiting' })
    // 再试一次时，上一次断在半路的回答不带上。
    if (turns.value.at(-1)?.role === 'assistant') turns.value.pop()
    const messages: ChatMessage[] = [...(system ? [{ role: 'system' as const, content: system }] : []), ...turns.value]
    turns.value.push({ role: 'assistant', content: '' })
    const answer = turns.value[turns.value.length - 1]!
    const began = performance.now()
    const since = () => performance.now() - began
    try {
      await chat(base, key, { ...request, messages }, {
        head(status, headers) { Object.assign(run, { status, headers }) },
        place(place) { Object.assign(run, { place, phase: 'queued' }) },
        usage(usage) { run.usage = usage },
        text(delta) {
          run.firstMs ??= since()
          run.phase = 'answering'
          answer.content += delta
        },
      }, mine.signal)
      run.phase = 'done'
    } catch (e) {
      if (running !== mine) return
      run.phase = mine.signal.aborted ? 'stopped' : 'failed'
      if (!mine.signal.aborted) run.error = e instanceof GatewayError ? e : new GatewayError(run.status, 'unreadable', '', String(e))
    } finally {
      if (running === mine) {
        run.totalMs = since()
        running = null
        // 一个字也没有的回答不算一句：再试时不带上它。
        if (!answer.content) turns.value = turns.value.filter((t) => t !== answer)
      }
    }
  }

  function say(content: string): void {
    turns.value.push({ role: 'user', content })
  }

  function stop(): void {
    running?.abort()
  }

  function clear(): void {
    stop()
    running = null
    turns.value = []
    Object.assign(run, fresh())
  }

  onScopeDispose(stop)
  return { turns, run, busy, pace, say, send, stop, clear }
}
