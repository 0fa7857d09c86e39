import { useQuery, useQueryCache } from '@pinia/colada'
import { defineStore } from 'pinia'
import { computed, ref, watch } from 'vue'

import { type FreshKey, names } from '@/api/guide'
import type { Overview } from '@/api/live'

import { useSession } from './useSession'

/** Step 是首次引导的四步。 */
export type Step = 'server' | 'model' | 'app' | 'curl'

export const steps: readonly Step[] = ['server', 'model', 'app', 'curl']

/** needsGuide 说这套安装还用不起来：少了服务器、模型、应用或密钥，或从来没有过一个请求。 */
export function needsGuide(o: Overview): boolean {
  const c = o.counts
  return c.servers === 0 || c.models === 0 || c.apps === 0 || c.keys === 0 || !c.requests_ever
}

/** stepOf 是头一个还没有做的一步，由现状算出：重新载入也接得上。 */
export function stepOf(o: Overview): Step {
  const c = o.counts
  if (c.servers === 0) return 'server'
  if (c.models === 0) return 'model'
  return c.apps === 0 || c.keys === 0 ? 'app' : 'curl'
}

/** useGuide 是引导里要跨页记着的几样；密钥的明文只在内存里，刷新就没有了。 */
export const useGuide = defineStore('guide', () => {
  /** engaged 在引导露过面之后为真：走到头来了第一个请求，也要等人看过才收走。 */
  const engaged = ref(false)
  /** listed 是试连时上游自报的模型，下一步挑。 */
  const listed = ref<{ server: string; models: string[] } | null>(null)
  const model = ref('')
  const fresh = ref<FreshKey | null>(null)

  function finish(): void {
    engaged.value = false
    fresh.value = null
    listed.value = null
    model.value = ''
  }
  // 明文不留给下一个登录的人。
  const session = useSession()
  watch(() => session.identity?.name, finish)

  return { engaged, listed, model, fresh, finish }
})

/** useGuideNames 是已有的名字；写过之后 refresh，各处的名单都重新取。 */
export function useGuideNames() {
  const query = useQuery({ key: ['guide-names'], query: names })
  const cache = useQueryCache()
  return {
    error: query.error, refetch: query.refetch,
    servers: computed(() => query.data.value?.servers ?? []),
    models: computed(() => query.data.value?.models ?? []),
    apps: computed(() => query.data.value?.apps ?? []),
    refresh: () => cache.invalidateQueries(),
  }
}
