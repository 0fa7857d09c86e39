import { defineStore } from 'pinia'
import { computed, onScopeDispose, ref, shallowReactive } from 'vue'

import { openEvents, type Topic, type Topics } from '@/api/events'

/** LiveState：live 正在听；connecting 还没有听到过；stale 断了（或控制面算不出），眼前的数停在那一刻。 */
export type LiveState = 'connecting' | 'live' | 'stale'

const settleMs = 30

/** useLiveStore 是全页共用的一条事件流；要哪些主题，由此刻挂着的组件合起来说。 */
export const useLiveStore = defineStore('live', () => {
  const values = shallowReactive<{ [T in Topic]?: Topics[T] }>({})
  const state = ref<LiveState>('connecting')
  const lastAlive = ref<Date | null>(null)
  /** frozen 是连着、而控制面此刻算不出的主题；frozenSince 是头一个停住的那一刻。 */
  const frozen = ref<Topic[]>([])
  const frozenSince = ref<Date | null>(null)
  const wanted = new Map<Topic, number>()
  let running: AbortController | null = null
  let listening = ''
  let pending: ReturnType<typeof setTimeout> | undefined

  function freeze(topics: Topic[]): void {
    frozen.value = topics
    frozenSince.value = topics.length === 0 ? null : (frozenSince.value ?? new Date())
  }

  function start(): void {
    const topics = [...wanted.keys()].sort()
    for (const t of Object.keys(values) as Topic[]) if (!wanted.has(t)) delete values[t]
    // 换页前后要的是同样几样：流接着用，眼前的数也不闪。
    if (running && listening === topics.join()) return
    stop()
    if (topics.length === 0) {
      // 谁也不听了（退出登录）：下次从头来，不拿上次的时刻说断了。
      state.value = 'connecting'
      lastAlive.value = null
      freeze([])
      return
    }
    const mine = new AbortController()
    running = mine
    listening = topics.join()
    // 新的流会自己说哪些停住了；不再听的不算。
    freeze(frozen.value.filter((x) => wanted.has(x)))
    void openEvents(topics, {
      event(topic, value) { if (!mine.signal.aborted) Object.assign(values, { [topic]: value }) },
      alive() { if (!mine.signal.aborted) { state.value = 'live'; lastAlive.value = new Date() } },
      frozen(topics) { if (!mine.signal.aborted) freeze(topics) },
      down() {
        if (mine.signal.aborted) return
        freeze([])
        state.value = lastAlive.value ? 'stale' : 'connecting'
      },
    }, mine.signal).finally(() => { if (running === mine) running = null })
  }

  function stop(): void {
    running?.abort()
    running = null
  }

  // 换页时几个组件先后来去：攒一会儿只连一次。
  function changed(): void {
    clearTimeout(pending)
    pending = setTimeout(start, settleMs)
  }

  function want(topic: Topic): void {
    const n = wanted.get(topic) ?? 0
    wanted.set(topic, n + 1)
    if (n === 0) changed()
  }

  function release(topic: Topic): void {
    const n = (wanted.get(topic) ?? 0) - 1
    if (n > 0) { wanted.set(topic, n); return }
    wanted.delete(topic)
    changed()
  }

  return { values, state, lastAlive, frozen, frozenSince, want, release }
})

/** useLive 订一个主题，组件卸下时自己退订；value 在头一份来到之前是 undefined。 */
export function useLive<T extends Topic>(topic: T) {
  const store = useLiveStore()
  store.want(topic)
  onScopeDispose(() => store.release(topic))
  return {
    value: computed<Topics[T] | undefined>(() => store.values[topic] as Topics[T] | undefined),
    state: computed<LiveState>(() => (store.state === 'live' && store.frozen.includes(topic) ? 'stale' : store.state)),
    /** frozen 为真是连着而算不出，不是断了。 */
    frozen: computed(() => store.frozen.includes(topic)),
    lastAlive: computed(() => store.lastAlive),
  }
}
