import { api, type Schemas } from './client'

export type UsageReport = Schemas['UsageReport']
export type UsageRow = Schemas['UsageRow']

/** lastMinute 是各服务器最近一分钟上下的用量；窗口按分钟取整，真正的长度由 from 算。 */
export async function lastMinute(now = Date.now()): Promise<UsageReport> {
  const from = new Date(now - 60_000).toISOString()
  return (await api.GET('/usage', { params: { query: { from, group_by: ['server'], format: 'json' } } })).data as UsageReport
}

/** history 是一个服务器最近 hours 小时的用量，每个时间桶一行；没有用量的桶没有行。 */
export async function history(server: string, hours: number, interval: 'minute' | 'hour', now = Date.now()): Promise<UsageReport> {
  const from = new Date(now - hours * 3_600_000).toISOString()
  return (await api.GET('/usage', { params: { query: { from, interval, server: [server], percentiles: [95], format: 'json' } } })).data as UsageReport
}
