import { useQuery } from '@pinia/colada'
import { computed } from 'vue'

import { queues, refusals } from '@/api/live'

import { useEvery } from './useEvery'
import { useLive } from './useLive'

const checkEveryMs = 10_000
const refusedForMs = 3_600_000
const refusalsEveryMs = 15_000

/**
 * useQueues 是各服务器的队列，随事件流变。没有授予者时事件流只是不再来新的，看不出来；
 * 所以另外隔一会儿 GET 一次：取不到，error 说为什么，眼前的是旧的。
 */
export function useQueues() {
  const { value, state, frozen } = useLive('queues')
  const query = useQuery({ key: ['queues'], query: queues })
  const again = () => void query.refetch()
  useEvery(checkEveryMs, again)
  return {
    queues: computed(() => value.value ?? query.data.value),
    stale: computed(() => state.value === 'stale' || query.error.value !== null),
    // 连接断了有横幅说，不再说一遍。
    error: computed(() => (state.value === 'stale' && !frozen.value ? null : query.error.value)),
    loading: query.isPending,
    retry: again,
  }
}

/** useRefusals 是最近 60 分钟没有到达服务器的请求；有人看着时每 15 秒再问一次。 */
export function useRefusals() {
  const query = useQuery({ key: ['refusals'], query: () => refusals(new Date(Date.now() - refusedForMs)) })
  useEvery(refusalsEveryMs, () => void query.refetch())
  return query
}
