import { onScopeDispose, readonly, shallowRef, watch } from 'vue'

import { type Story } from '@/api/story'

/** usePolled 每 everyMs 问一次，直到有了、问够了 tries 次，或不再想要；问的时候出错也算一次。 */
export function usePolled(ask: () => (() => Promise<Story | null>) | null, everyMs = 1000, tries = Infinity) {
  const story = shallowRef<Story | null>(null)
  let timer: ReturnType<typeof setTimeout> | undefined
  let asking = 0

  async function once(f: () => Promise<Story | null>, mine: number, left: number): Promise<void> {
    const got = await f().catch(() => null)
    if (mine !== asking) return
    if (got) story.value = got
    else if (left > 1) timer = setTimeout(() => void once(f, mine, left - 1), everyMs)
  }
  function stop(): void {
    asking++
    clearTimeout(timer)
  }

  watch(ask, (f) => {
    stop()
    story.value = null
    if (f) void once(f, asking, tries)
  }, { immediate: true })
  onScopeDispose(stop)
  return readonly(story)
}
