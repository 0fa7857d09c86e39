import { useQuery } from '@pinia/colada'
import { computed } from 'vue'

import { overview } from '@/api/live'

import { useLive } from './useLive'

/** useOverview 是此刻的总览：头一份靠 GET，之后随事件流变；stale 时是断开之前的最后一份。 */
export function useOverview() {
  const { value, state } = useLive('overview')
  const query = useQuery({ key: ['overview'], query: overview })
  return {
    overview: computed(() => value.value ?? query.data.value),
    stale: computed(() => state.value === 'stale'),
    error: computed(() => (value.value ? null : query.error.value)),
    loading: query.isPending,
    retry: () => void query.refetch(),
  }
}
