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

/** names 是已有的服务器、模型与应用的名字：重新载入之后从这里接着走。 */
export async function names(): Promise<{ servers: string[]; models: string[]; apps: string[] }> {
  const [servers, models, apps] = await Promise.all([api.GET('/servers'), api.GET('/models'), api.GET('/apps')])
  const of = (list: { name: string }[]) => list.map((x) => x.name)
  return { servers: of(servers.data!), models: of(models.data!), apps: of(apps.data!) }
}
