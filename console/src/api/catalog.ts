import { api, type Schemas } from './client'

/** Catalog 是各种东西的名字，供搜索与选择；空的 url 之类不在其中。 */
export interface Catalog {
  servers: Schemas['Server'][]
  models: string[]
  apps: Schemas['App'][]
  nodes: Schemas['Node'][]
  revisions: Schemas['Revision'][]
}

/** modelNames 是全部公开模型的名字。 */
export async function modelNames(): Promise<string[]> {
  return (await api.GET('/models')).data!.map((m) => m.name)
}

/** catalog 一次取来全部名字与最近的配置版本。 */
export async function catalog(): Promise<Catalog> {
  const [servers, models, apps, nodes, revisions] = await Promise.all([
    api.GET('/servers'), modelNames(), api.GET('/apps'), api.GET('/nodes'), api.GET('/revisions', { params: { query: { limit: 20 } } }),
  ])
  return { servers: servers.data!, models, apps: apps.data!, nodes: nodes.data!, revisions: revisions.data!.items }
}
