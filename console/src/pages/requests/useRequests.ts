import { useQuery } from '@pinia/colada'
import { computed, type ComputedRef, onScopeDispose, type Ref, ref, watch } from 'vue'
import { useRoute, useRouter } from 'vue-router'

import { keeping, request, type Request, type RequestPage, requests } from '@/api/requests'
import { names } from '@/api/usage'
import { validZone } from '@/components/time/zone'
import { useAbout } from '@/composables/useAbout'

import { type Filter, fromURL, paramsOf, toURL } from './filter'
import { merged, since } from './tail'

export const pageSize = 100
const tailEveryMs = 1000

/** useFilter 是地址里的筛选；改筛选回到头一页，翻页不动筛选。 */
export function useFilter() {
  const route = useRoute()
  const router = useRouter()
  const about = useAbout()
  const filter = computed(() => fromURL(route.query))
  const zone = computed(() => {
    const set = about.data.value?.time_zone ?? ''
    return validZone(set) ? set : 'UTC'
  })
  const change = (patch: Partial<Filter>) => void router.push({ query: toURL({ ...filter.value, cursor: '', at: null, ...patch }) })
  return { filter, zone, change }
}

/** Shown 是一页与问它的那一刻：翻页要带着同一刻。 */
export interface Shown {
  page: RequestPage
  at: number
}

/** usePage 取来地址所指的那一页。 */
export function usePage(filter: ComputedRef<Filter>, zone: ComputedRef<string>) {
  return useQuery({
    key: () => ['requests', zone.value, JSON.stringify({ ...filter.value, tail: false })],
    query: async ({ signal }): Promise<Shown> => {
      const at = filter.value.at ?? Date.now()
      return { page: await requests(paramsOf(filter.value, zone.value, at, pageSize), signal), at }
    },
    enabled: () => !filter.value.tail,
    placeholderData: (before: Shown | undefined) => before,
    staleTime: 5000,
  })
}

/**
 * useTail 跟着看：每秒问一次新结束的请求。held 为真时新的先攒着（指着一行、往下滚了），放开才并进来。
 * 页面藏起来时不问；失败了照样再问，error 是最近一次的失败。
 */
export function useTail(filter: ComputedRef<Filter>, zone: ComputedRef<string>, held: Ref<boolean>) {
  const rows = ref<Request[]>([]) as Ref<Request[]>
  const waiting = ref<Request[]>([]) as Ref<Request[]>
  const error = ref<unknown>()
  const started = ref(false)
  let asking: AbortController | null = null

  function release() {
    rows.value = merged(rows.value, waiting.value)
    waiting.value = []
  }

  async function ask() {
    if (!filter.value.tail || asking || document.hidden) return
    const mine = (asking = new AbortController())
    const from = since(merged(rows.value, waiting.value))
    const f: Filter = { ...filter.value, cursor: '', ...(from === null ? {} : { range: 'custom', from, to: null }) }
    try {
      const { items } = await requests(paramsOf(f, zone.value, Date.now(), from === null ? pageSize : 200), mine.signal)
      if (mine.signal.aborted) return
      const known = new Set(rows.value.map((r) => r.id))
      waiting.value = merged(waiting.value, items.filter((r) => !known.has(r.id)))
      if (!held.value || !started.value) release()
      started.value = true
      error.value = undefined
    } catch (e) {
      if (!mine.signal.aborted) error.value = e
    } finally {
      if (asking === mine) asking = null
    }
  }

  function restart() {
    asking?.abort()
    asking = null
    rows.value = []
    waiting.value = []
    started.value = false
    error.value = undefined
    void ask()
  }

  watch(() => JSON.stringify(filter.value), restart, { immediate: true })
  watch(held, (h) => { if (!h) release() })
  const timer = setInterval(() => void ask(), tailEveryMs)
  onScopeDispose(() => { clearInterval(timer); asking?.abort() })
  return { rows, waiting, error, started, release }
}

/** useRequest 是一个请求。 */
export function useRequest(id: () => string) {
  return useQuery({ key: () => ['request', id()], query: () => request(id()), staleTime: 60_000 })
}

/** useKeeping 是逐条的请求存多少、留多久。 */
export function useKeeping() {
  return useQuery({ key: ['requests-keeping'], query: keeping, staleTime: 60_000 })
}

/** useNames 是筛选里选得到的名字。 */
export function useNames() {
  return useQuery({ key: ['usage-names'], query: names, staleTime: 30_000 })
}
