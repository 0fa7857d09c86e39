import { ref } from 'vue'

import { type ServerInput, type ServerTest, testServer } from '@/api/servers'

/** useServerTest 试连一个服务器或它的草稿；后来的一次顶掉先前没回来的。 */
export function useServerTest() {
  const result = ref<ServerTest | null>(null)
  const error = ref<unknown>()
  const busy = ref(false)
  let last = 0

  async function run(name: string, draft?: ServerInput, model = ''): Promise<void> {
    const mine = ++last
    busy.value = true
    error.value = undefined
    try {
      const r = await testServer(name, draft, model)
      if (mine === last) result.value = r
    } catch (e) {
      if (mine === last) { error.value = e; result.value = null }
    } finally {
      if (mine === last) busy.value = false
    }
  }

  function clear() {
    last++
    result.value = null
    error.value = undefined
    busy.value = false
  }

  return { result, error, busy, run, clear }
}
