import { computed, type ComputedRef } from 'vue'

import type { Node } from '@/api/live'

import { useLive } from './useLive'

/** Rollout 是一个配置版本到了哪里：连着的节点里多少个已换上，哪些还没有，哪些拒绝了。 */
export interface Rollout {
  revision: number
  connected: number
  applied: number
  pending: string[]
  rejected: Node[]
  done: boolean
}

/** rolloutOf 由节点的名单算出一版到了哪里；没有连着的节点时 done 为真：没有谁可等。 */
export function rolloutOf(revision: number, nodes: Node[]): Rollout {
  const connected = nodes.filter((n) => n.connected && !n.draining)
  // 节点可以跳过中间的版本：拒绝了更新的一版，就等不到它换上这一版了。
  const rejected = connected.filter((n) => (n.rejected_revision ?? 0) >= revision && n.applied_revision < revision)
  const pending = connected.filter((n) => n.applied_revision < revision && !rejected.includes(n)).map((n) => n.id)
  const applied = connected.length - rejected.length - pending.length
  return { revision, connected: connected.length, applied, pending, rejected, done: pending.length === 0 }
}

/** useFleet 是全部节点与配置的头，随事件流变。 */
export function useFleet() {
  const { value, state, frozen } = useLive('fleet')
  return {
    fleet: value,
    state,
    frozen,
    head: computed(() => value.value?.head_revision ?? 0),
    nodes: computed(() => value.value?.nodes ?? []),
  }
}

/** useRollout 跟着一版配置走。 */
export function useRollout(revision: () => number): ComputedRef<Rollout | null> {
  const { fleet } = useFleet()
  return computed(() => (fleet.value && revision() > 0 ? rolloutOf(revision(), fleet.value.nodes) : null))
}
