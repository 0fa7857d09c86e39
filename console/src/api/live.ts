import { api, type Schemas } from './client'

export type About = Schemas['About']
export type Fleet = Schemas['Fleet']
export type Node = Schemas['Node']
export type Overview = Schemas['Overview']
export type OverviewProblem = Schemas['OverviewProblem']
export type Queue = Schemas['Queue']
export type Explanation = Schemas['Explanation']
export type ExplainedReason = Schemas['ExplainedReason']

/** about 是这套安装：版本、客户端从哪里进来、时区与货币。 */
export async function about(): Promise<About> {
  return (await api.GET('/about')).data!
}

/** explain 说一个应用此刻要一个模型会怎样。 */
export async function explain(app: string, model: string): Promise<Explanation> {
  return (await api.GET('/explain', { params: { query: { app, model } } })).data!
}

/** overview 是此刻的总览；此后的变化由事件流的 overview 主题带来。 */
export async function overview(): Promise<Overview> {
  return (await api.GET('/overview')).data!
}

/** queues 是各服务器此刻的队列；没有授予者时抛出 unavailable。 */
export async function queues(): Promise<Queue[]> {
  return (await api.GET('/queues')).data!
}

/** Refusal 是一个应用以一个错误码被拒绝了多少次。 */
export interface Refusal {
  app: string
  code: string
  refused: number
}

/** refusals 是从 from 起没有到达服务器的请求，按应用与错误码，多的在前。 */
export async function refusals(from: Date): Promise<Refusal[]> {
  const query = { from: from.toISOString(), group_by: ['app', 'code'] as ('app' | 'code')[] }
  const { data } = await api.GET('/usage', { params: { query }, querySerializer: { array: { style: 'form', explode: false } } })
  return (data as Schemas['UsageReport']).rows // 问的是 JSON，不会是 CSV
    .filter((r) => r.refused > 0)
    .map((r) => ({ app: r.app ?? '', code: r.code ?? '', refused: r.refused }))
    .sort((a, b) => b.refused - a.refused)
}
