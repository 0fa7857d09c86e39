import { api, type Schemas, type Written, written } from './client'

export type ServerTest = Schemas['ServerTest']
/** ServerDraft 只写要紧的几项，别的由 API 给缺省值。 */
export type ServerDraft = Pick<Schemas['Server'], 'name' | 'provider' | 'base_url' | 'api_key' | 'limits'>

/** tryServer 试连一份草稿，什么都不保存。 */
export async function tryServer(server: ServerDraft): Promise<ServerTest> {
  return (await api.POST('/servers/{name}/test', { params: { path: { name: server.name } }, body: { server: server as Schemas['Server'] } })).data!
}

/** modelsOf 是一个已有的服务器自报的模型；连不上时 ok 为假。 */
export async function modelsOf(server: string): Promise<ServerTest> {
  return (await api.POST('/servers/{name}/test', { params: { path: { name: server } }, body: {} })).data!
}

/** addServer 新建一个后端服务器。 */
export async function addServer(server: ServerDraft): Promise<Written> {
  const { response } = await api.POST('/servers', { body: server as Schemas['Server'] })
  return written(undefined, response)
}

/** addModel 新建一个只有一个去处的模型。 */
export async function addModel(name: string, server: string, upstreamModel: string): Promise<Written> {
  const { response } = await api.POST('/models', { body: { name, targets: [{ server, upstream_model: upstreamModel } as Schemas['Target']] } })
  return written(undefined, response)
}

/** FreshKey 是刚建的一把密钥：明文只有这一次；id 认得出用它的请求，重名的旧密钥混不进来。 */
export interface FreshKey {
  id: string
  secret: string
}

/** addApp 新建一个什么模型都能用的应用与一把密钥。 */
export async function addApp(name: string, key: string): Promise<Written<FreshKey>> {
  const { data, response } = await api.POST('/apps', { body: { name, models: ['*'], keys: [{ name: key }] } as Schemas['App'] })
  const made = data!.keys?.[0]
  return written({ id: made?.id ?? '', secret: made?.secret ?? '' }, response)
}

/** addKey 给已有的应用再建一把密钥。 */
export async function addKey(app: string, key: string): Promise<Written<FreshKey>> {
  const { data, response } = await api.POST('/apps/{name}/keys', { params: { path: { name: app } }, body: { name: key } })
  return written({ id: data!.id, secret: data!.secret ?? '' }, response)
}

/** firstKey 是引导给已有的应用添的密钥的名字：不与它有的相撞。 */
export function firstKey(): string {
  return `first-${Date.now().toString(36)}`
}

/** Existing 是已有的东西：重新载入之后从这里接着走，名字从这里避开，现成的从这里挑。 */
export interface Existing {
  /** servers 是没有停用的在前，各带地址。 */
  servers: { name: string; base_url: string }[]
  models: string[]
  /** apps 是没有停用的在前；models 是它能用的模型名的样式。 */
  apps: { name: string; models: string[] }[]
}

/** names 一次取来已有的服务器、模型与应用。 */
export async function names(): Promise<Existing> {
  const [servers, models, apps] = await Promise.all([api.GET('/servers'), api.GET('/models'), api.GET('/apps')])
  const inUse = <T extends { enabled?: boolean }>(list: T[]) => [...list].sort((a, b) => Number(a.enabled === false) - Number(b.enabled === false))
  return {
    servers: inUse(servers.data!).map(({ name, base_url }) => ({ name, base_url })),
    models: models.data!.map((m) => m.name),
    apps: inUse(apps.data!).map((a) => ({ name: a.name, models: a.models ?? ['*'] })),
  }
}
