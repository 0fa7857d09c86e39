import { useMutation, useQuery, useQueryCache } from '@pinia/colada'
import { computed } from 'vue'

import type { Node } from '@/api/live'
import { drainNode, forgetNode, listNodes } from '@/api/nodes'

import { useAbout } from './useAbout'
import { useFleet } from './useRollout'

const key = ['nodes']

/** NodeStatus：away 是没有说就不见了，left 是奉命退出之后走了。 */
export type NodeStatus = 'connected' | 'draining' | 'away' | 'left'

/** statusOf 是一个节点此刻的处境。 */
export function statusOf(n: Node): NodeStatus {
  if (n.connected) return n.draining ? 'draining' : 'connected'
  return n.draining ? 'left' : 'away'
}

/** useNodes 是全部节点与配置的头：头一份靠 GET，之后随事件流变。 */
export function useNodes() {
  const { fleet, state } = useFleet()
  const { data: about } = useAbout()
  const query = useQuery({ key, query: listNodes })
  const cache = useQueryCache()
  const again = () => cache.invalidateQueries({ key })

  const drain = useMutation({ mutation: drainNode, onSettled: again })
  const forget = useMutation({ mutation: forgetNode, onSettled: again })

  return {
    state,
    head: computed(() => fleet.value?.head_revision ?? about.value?.revision ?? 0),
    nodes: computed<Node[] | undefined>(() => fleet.value?.nodes ?? query.data.value),
    error: computed(() => (fleet.value ? null : query.error.value)),
    loading: query.isPending,
    retry: () => void query.refetch(),
    drain: drain.mutateAsync,
    forget: forget.mutateAsync,
  }
}
