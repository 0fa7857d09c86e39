import { api, type Schemas, type Written, written } from './client'

export type Key = Schemas['Key']
export type CreatedKey = Schemas['CreatedKey']
export type RotatedKey = Schemas['RotatedKey']
export type KeyRotation = Schemas['KeyRotation']

const inApp = (name: string) => ({ path: { name } })
const at = (name: string, key: string) => ({ path: { name, key } })

export async function listKeys(app: string): Promise<Key[]> {
  return (await api.GET('/apps/{name}/keys', { params: inApp(app) })).data!
}

/** createKey 新建一把，明文只在这一次应答里；expires 为 null 即不过期。 */
export async function createKey(app: string, name: string, expires: string | null): Promise<Written<CreatedKey>> {
  const { data, response } = await api.POST('/apps/{name}/keys', { params: inApp(app), body: { name, expires_at: expires } })
  return written(data!, response)
}

export async function rotateKey(app: string, key: string, how: KeyRotation): Promise<Written<RotatedKey>> {
  const { data, response } = await api.POST('/apps/{name}/keys/{key}/rotate', { params: at(app, key), body: how })
  return written(data!, response)
}

/** expireKey 改一把密钥的期限。 */
export async function expireKey(app: string, key: string, expires: string | null): Promise<Written<Key>> {
  const { data, response } = await api.PUT('/apps/{name}/keys/{key}', { params: at(app, key), body: { expires_at: expires } })
  return written(data!, response)
}

/** revokeKey 撤销一把；永不复活。 */
export async function revokeKey(app: string, key: string): Promise<Written> {
  const { response } = await api.DELETE('/apps/{name}/keys/{key}', { params: at(app, key) })
  return written(undefined, response)
}
