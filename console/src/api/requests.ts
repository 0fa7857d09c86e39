import { api, type Schemas } from './client'

export type Request = Schemas['Request']
export type Attempt = Schemas['Attempt']
export type RequestPage = Schemas['RequestPage']
export type Outcome = Schemas['Outcome']

/** requests 是一页请求，由新到旧；params 就是查询串。 */
export async function requests(params: URLSearchParams, signal?: AbortSignal): Promise<RequestPage> {
  return (await api.GET('/requests', { querySerializer: () => params.toString(), signal })).data as RequestPage
}

/** request 是一个请求。 */
export async function request(id: string): Promise<Request> {
  return (await api.GET('/requests/{id}', { params: { path: { id } } })).data!
}

/** Keeping 是逐条的请求存多少、留多久：sample 是存下的比例。 */
export interface Keeping {
  sample: number
  days: number
}

/** keeping 读设置里的这两项。 */
export async function keeping(): Promise<Keeping> {
  const s = (await api.GET('/settings')).data!
  return { sample: s.requests?.sample ?? 1, days: s.retention?.requests_days ?? 7 }
}
