import { api, type Schemas } from './client'

export type About = Schemas['About']
export type Fleet = Schemas['Fleet']
export type Node = Schemas['Node']
export type Overview = Schemas['Overview']
export type OverviewProblem = Schemas['OverviewProblem']
export type Queue = Schemas['Queue']
export type Explanation = Schemas['Explanation']

/** about 是这套安装：版本、客户端从哪里进来、时区与货币。 */
export async function about(): Promise<About> {
  return (await api.GET('/about')).data!
}

/** explain 说一个应用此刻要一个模型会怎样。 */
export async function explain(app: string, model: string): Promise<Explanation> {
  return (await api.GET('/explain', { params: { query: { app, model } } })).data!
}
