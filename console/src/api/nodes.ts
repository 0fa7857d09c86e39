import { api } from './client'
import type { Node } from './live'

/** listNodes 是见过而没有忘掉的全部节点，按 id 升序。 */
export async function listNodes(): Promise<Node[]> {
  return (await api.GET('/nodes')).data!
}

/** drainNode 让一个连着的节点不再接新请求，做完手上的就退出。 */
export async function drainNode(id: string): Promise<void> {
  await api.POST('/nodes/{id}/drain', { params: { path: { id } } })
}

/** forgetNode 忘掉一个已经离开的节点；还连着的抛出 conflict。 */
export async function forgetNode(id: string): Promise<void> {
  await api.DELETE('/nodes/{id}', { params: { path: { id } } })
}
