import { api, type Schemas } from './client'
import { Problem } from './problem'

export { whenUnauthenticated } from './client'

export type Identity = Schemas['Identity']
export type AuthMethods = Schemas['AuthMethods']
export type Role = Schemas['Role']

/** currentIdentity 是此刻登录着的人；没有登录则为 null。 */
export async function currentIdentity(): Promise<Identity | null> {
  try {
    return (await api.GET('/session')).data!
  } catch (e) {
    if (e instanceof Problem && e.status === 401) return null
    throw e
  }
}

/** authMethods 是登录页可以给出什么。 */
export async function authMethods(): Promise<AuthMethods> {
  return (await api.GET('/auth/methods')).data!
}

/** signIn 以口令登录；会话在 cookie 里，脚本看不见。 */
export async function signIn(name: string, password: string): Promise<Identity> {
  return (await api.POST('/session', { body: { name, password } })).data!
}

/** signOut 结束此刻的会话。 */
export async function signOut(): Promise<void> {
  await api.DELETE('/session')
}

/** changePassword 换自己的口令，给出新会话里的人；别处的会话随之作废。 */
export async function changePassword(current: string, next: string): Promise<Identity> {
  return (await api.PUT('/session/password', { body: { current_password: current, new_password: next } })).data!
}

export type Session = Schemas['Session']

/** sessions 是活着的会话：自己的，all 则所有人的（要管理员）。 */
export async function sessions(all: boolean): Promise<Session[]> {
  return (await api.GET('/sessions', { params: { query: all ? { all } : {} } })).data!
}

/** endSession 结束一个会话。 */
export async function endSession(id: string): Promise<void> {
  await api.DELETE('/sessions/{id}', { params: { path: { id } } })
}

/** endOtherSessions 结束自己在别处的全部会话。 */
export async function endOtherSessions(): Promise<void> {
  await api.DELETE('/sessions')
}
