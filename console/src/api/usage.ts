import { api, type Schemas } from './client'

export type UsageReport = Schemas['UsageReport']
export type UsageRow = Schemas['UsageRow']
export type UsageFigures = Schemas['UsageFigures']
export type UsageAccuracy = Schemas['UsageAccuracy']
export type ReconcileReport = Schemas['ReconcileReport']
export type ReconcileRow = Schemas['ReconcileRow']
export type ReconcileFigures = Schemas['ReconcileFigures']

/** usage 问一份用量；params 就是查询串，与 CSV 的链接、curl 那一行是同一句。 */
export async function usage(params: URLSearchParams, signal?: AbortSignal): Promise<UsageReport> {
  return (await api.GET('/usage', { querySerializer: () => params.toString(), signal })).data as UsageReport
}

/** usagePath 是同一句查询在控制面上的路径；csv 为真即下载用的。 */
export function usagePath(params: URLSearchParams, csv = false): string {
  const p = new URLSearchParams(params)
  if (csv) p.set('format', 'csv')
  return `/api/v1/usage?${p}`
}

/** Names 是筛选里选得到的名字；已经删去的对象不在其中，可以自己写。 */
export interface Names {
  server: string[]
  app: string[]
  model: string[]
}

/** names 取来此刻的各个名字。 */
export async function names(): Promise<Names> {
  const [servers, apps, models] = await Promise.all([api.GET('/servers'), api.GET('/apps'), api.GET('/models')])
  const of = (list: { name: string }[] | undefined) => (list ?? []).map((x) => x.name).sort()
  return { server: of(servers.data), app: of(apps.data), model: of(models.data) }
}

/** Bill 是一张账单与怎样读它；空着的项由控制面定。map、column 各是「左=右」。 */
export interface Bill {
  csv: string
  server: string[]
  zone: string
  from: string
  to: string
  map: string[]
  column: string[]
}

/** reconcile 拿账单对照用量，什么也不写。 */
export async function reconcile(b: Bill): Promise<ReconcileReport> {
  const query = { server: b.server, time_zone: b.zone || undefined, from: b.from || undefined, to: b.to || undefined, map: b.map, column: b.column }
  const sent = await api.POST('/usage/reconcile', { params: { query }, body: b.csv, bodySerializer: (s) => s, headers: { 'Content-Type': 'text/csv' } })
  return sent.data as ReconcileReport
}
