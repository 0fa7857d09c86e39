import { computed } from 'vue'

import type { Node, Queue } from '@/api/live'
import type { Server } from '@/api/servers'

import { useLive } from './useLive'

/** Ejected 是一个目标被一个节点摘出。 */
export interface Ejected {
  node: string
  upstream_model: string
  reason: string
  until: string
  since?: string
}

/** ServerState 是一个服务器此刻的样子；live 在头一份事件来到之前为假：此时 kind 说的只是配置。 */
export interface ServerState {
  kind: 'ok' | 'full' | 'paused' | 'ejected' | 'disabled'
  live: boolean
  queue?: Queue
  ejections: Ejected[]
  ejectedBy: number
  nodes: number
  pausedUntil: string
}

/** ejectionsOf 是各节点此刻对一个服务器的摘出；离线节点的旧话不算。 */
export function ejectionsOf(server: string, nodes: Node[]): Ejected[] {
  return nodes.filter((n) => n.connected).flatMap((n) => (n.ejections ?? []).filter((e) => e.server === server).map((e) => ({ node: n.id, upstream_model: e.upstream_model, reason: e.reason, until: e.until, since: e.since })))
}

/** stateOf 合上配置、授予者的账与各节点的摘出。 */
export function stateOf(server: Pick<Server, 'name' | 'enabled'>, queue: Queue | undefined, nodes: Node[], live: boolean): ServerState {
  const ejections = ejectionsOf(server.name, nodes)
  const pausedUntil = (queue?.paused ?? []).map((p) => p.until).sort().at(-1) ?? ''
  const limit = queue?.limits.max_concurrency ?? 0
  const full = queue !== undefined && limit > 0 && queue.in_flight >= limit
  const kind = !server.enabled ? 'disabled' : ejections.length ? 'ejected' : pausedUntil ? 'paused' : full ? 'full' : 'ok'
  return { kind, live, queue, ejections, ejectedBy: new Set(ejections.map((e) => e.node)).size, nodes: nodes.filter((n) => n.connected).length, pausedUntil }
}

/** useServerState 给出任何一个服务器此刻的样子，随事件流变。 */
export function useServerState() {
  const { value: queues, state: stream } = useLive('queues')
  const { value: fleet } = useLive('fleet')
  const byName = computed(() => new Map((queues.value ?? []).map((q) => [q.server, q])))
  const live = computed(() => queues.value !== undefined && fleet.value !== undefined)
  const of = (s: Pick<Server, 'name' | 'enabled'>) => stateOf(s, byName.value.get(s.name), fleet.value?.nodes ?? [], live.value)
  return { of, stream }
}
