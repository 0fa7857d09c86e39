import { api, ifMatch, type Schemas, tagged, type Tagged, written, type Written } from './client'

export type Server = Schemas['Server']
export type ServerTest = Schemas['ServerTest']

type Optional<T> = { [K in keyof T]?: T[K] extends object | undefined ? Optional<NonNullable<T[K]>> : T[K] }

/** ServerInput 是写入的样子：缺席的字段用缺省（api_key 则保持所存），"" 与 0 是另外的意思。 */
export type ServerInput = Optional<Server> & { name: string; base_url: string }

const at = (name: string) => ({ path: { name } })

/** listServers 是全部后端服务器，按名字升序。 */
export async function listServers(): Promise<Server[]> {
  return (await api.GET('/servers')).data!
}

/** getServer 是一个后端服务器与它的 ETag。 */
export async function getServer(name: string): Promise<Tagged<Server>> {
  const { data, response } = await api.GET('/servers/{name}', { params: at(name) })
  return tagged(data!, response)
}

export async function createServer(input: ServerInput): Promise<Written<Server>> {
  const { data, response } = await api.POST('/servers', { body: input as Server })
  return written(data!, response)
}

/** putServer 整个替换；etag 不再是现在的则 412。 */
export async function putServer(input: ServerInput, etag = ''): Promise<Written<Server>> {
  const { data, response } = await api.PUT('/servers/{name}', { params: { ...at(input.name), header: ifMatch(etag) }, body: input as Server })
  return written(data!, response)
}

export async function deleteServer(name: string): Promise<Written> {
  const { response } = await api.DELETE('/servers/{name}', { params: at(name) })
  return written(undefined, response)
}

/** testServer 从控制面试连；给了 draft 试的是它，给了 model 再试一个对话。连不上不抛，结果里说。 */
export async function testServer(name: string, draft?: ServerInput, model = ''): Promise<ServerTest> {
  return (await api.POST('/servers/{name}/test', { params: at(name), body: { server: draft as Server | undefined, model: model || undefined } })).data!
}
