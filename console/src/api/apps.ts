import { api, ifMatch, type Schemas, type Tagged, tagged, type Written, written } from './client'
import type { paths } from './schema'

export type App = Schemas['App']
export type Budget = Schemas['Budget']
export type Limits = Schemas['Limits']
export type UsageReport = Schemas['UsageReport']
export type UsageRow = Schemas['UsageRow']

/** AppSettings 是应用去掉密钥与版本：写回去不动任何密钥。 */
export type AppSettings = Omit<App, 'keys' | 'version'>

/** settingsOf 取出应用里写得回去的部分。 */
export function settingsOf(app: App): AppSettings {
  const settings: App = { ...app }
  delete settings.keys
  delete (settings as { version?: number }).version
  return settings
}

/** AppList 是全部应用与读它们时的配置版本。 */
export interface AppList {
  apps: App[]
  revision: number
}

export async function listApps(): Promise<AppList> {
  const { data, response } = await api.GET('/apps')
  return { apps: data!, revision: written(null, response).revision }
}

const at = (name: string) => ({ path: { name } })

export async function getApp(name: string): Promise<Tagged<App>> {
  const { data, response } = await api.GET('/apps/{name}', { params: at(name) })
  return tagged(data!, response)
}

export async function createApp(app: AppSettings): Promise<Written<App>> {
  const { data, response } = await api.POST('/apps', { body: app })
  return written(data!, response)
}

export async function putApp(app: AppSettings, etag: string): Promise<Written<App>> {
  const { data, response } = await api.PUT('/apps/{name}', { params: { ...at(app.name), header: ifMatch(etag) }, body: app })
  return written(data!, response)
}

export async function deleteApp(name: string, etag = ''): Promise<Written> {
  const { response } = await api.DELETE('/apps/{name}', { params: { ...at(name), header: ifMatch(etag) } })
  return written(undefined, response)
}

type Query = NonNullable<paths['/usage']['get']['parameters']['query']>

// 应答也可以是 CSV；这里要的总是 JSON。
async function usage(query: Query): Promise<UsageReport> {
  return (await api.GET('/usage', { params: { query: { ...query, format: 'json' } } })).data as UsageReport
}

/** requestsLastHour 是各应用近一小时的请求数；没有请求的应用不在其中。 */
export async function requestsLastHour(now = Date.now()): Promise<Map<string, number>> {
  const from = new Date(now - 3_600_000).toISOString()
  return new Map((await usage({ from, group_by: ['app'] })).rows.map((r) => [r.app ?? '', r.requests]))
}

/** usageLastDay 是一个应用近 24 小时逐小时的用量。 */
export async function usageLastDay(app: string, now = Date.now()): Promise<UsageReport> {
  const from = new Date(now - 86_400_000).toISOString()
  return usage({ from, interval: 'hour', app: [app] })
}

/** Choices 是写应用时能选的名字。 */
export interface Choices {
  models: string[]
  servers: string[]
}

export async function choices(): Promise<Choices> {
  const [models, servers] = await Promise.all([api.GET('/models'), api.GET('/servers')])
  return { models: models.data!.map((m) => m.name), servers: servers.data!.map((s) => s.name) }
}
