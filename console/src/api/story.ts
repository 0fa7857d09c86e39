import { api, type Schemas } from './client'

export type Story = Schemas['Request']

/** storyOf 找一个请求；还没有入库则为 null（请求结束之后要过一会儿才在）。 */
export async function storyOf(id: string): Promise<Story | null> {
  return (await api.GET('/requests', { params: { query: { id, limit: 1 } } })).data!.items[0] ?? null
}

/** latestBy 是一把密钥（按 id）最近的一个请求；没有则为 null。 */
export async function latestBy(keyId: string): Promise<Story | null> {
  return (await api.GET('/requests', { params: { query: { key: [keyId], limit: 1 } } })).data!.items[0] ?? null
}
