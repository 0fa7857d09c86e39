import { api, type Schemas } from './client'

export type Token = Schemas['Token']
export type NewToken = Schemas['NewToken']
export type Scope = Schemas['Scope']

/** scopes 是全部的范围，次序就是给人看的次序。 */
export const scopes: readonly Scope[] = ['config:read', 'config:write', 'fleet:read', 'fleet:write', 'usage:read', 'identity:read', 'identity:write', 'audit:read']

/** tokens 是令牌：自己的，all 则全部（要管理员）。 */
export async function tokens(all: boolean): Promise<Token[]> {
  return (await api.GET('/tokens', { params: { query: all ? { all } : {} } })).data!
}

/** createToken 造一个令牌，明文在 secret 里，只这一次。 */
export async function createToken(token: NewToken): Promise<Schemas['CreatedToken']> {
  return (await api.POST('/tokens', { body: token })).data!
}

/** revokeToken 吊销一个令牌，当场不再认。 */
export async function revokeToken(id: string): Promise<void> {
  await api.DELETE('/tokens/{id}', { params: { path: { id } } })
}
