import createClient, { type Middleware } from 'openapi-fetch'

import { Problem } from './problem'
import type { components, paths } from './schema'

/** Schemas 是契约里各种形状的类型。 */
export type Schemas = components['schemas']

type Listener = (p: Problem) => void

let onUnauthenticated: Listener = () => {}

/** whenUnauthenticated 登记会话失效时做什么；后登记的代替先前的。 */
export function whenUnauthenticated(f: Listener): void {
  onUnauthenticated = f
}

/** lostSession 说会话没有了；登录自己的 401 不算。 */
export function lostSession(p: Problem): void {
  if (p.status === 401) onUnauthenticated(p)
}

const raise: Middleware = {
  async onResponse({ request, response }) {
    if (response.ok) return
    const problem = await Problem.from(response)
    if (!new URL(request.url).pathname.endsWith('/api/v1/session')) lostSession(problem)
    throw problem
  },
  onError({ error }) {
    // 自己取消的请求原样抛出，别的都是够不着。
    return error instanceof DOMException && error.name === 'AbortError' ? undefined : Problem.unreachable()
  },
}

/** api 是管理 API 的客户端；失败一律抛出 Problem，所以 data 总在（204 除外）。 */
export const api = createClient<paths>({ baseUrl: '/api/v1', credentials: 'same-origin' })
api.use(raise)

/** Written 是一次写的结果：写成了哪一版，对象的新 ETag（没有则为空）。 */
export interface Written<T = void> {
  data: T
  revision: number
  etag: string
}

/** Tagged 是读来的一个对象与它的 ETag：带回去就不会盖掉别人的改动。 */
export interface Tagged<T> {
  data: T
  etag: string
}

/** written 从应答头里取出写的结果。 */
export function written<T>(data: T, response: Response): Written<T> {
  return { data, revision: Number(response.headers.get('x-vega-revision')) || 0, etag: response.headers.get('etag') ?? '' }
}

/** tagged 从应答头里取出 ETag。 */
export function tagged<T>(data: T, response: Response): Tagged<T> {
  return { data, etag: response.headers.get('etag') ?? '' }
}

/** ifMatch 是只改没有被别人动过的对象的请求头；空的 etag 即不设条件。 */
export function ifMatch(etag: string): { 'If-Match'?: string } {
  return etag ? { 'If-Match': etag } : {}
}
