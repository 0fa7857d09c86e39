import createClient, { type Middleware } from 'openapi-fetch'

import { Problem } from './problem'
import type { paths } from './schema'

type Listener = () => void

let onUnauthenticated: Listener = () => {}

/** whenUnauthenticated 登记会话失效时做什么；后登记的代替先前的。 */
export function whenUnauthenticated(f: Listener): void {
  onUnauthenticated = f
}

const raise: Middleware = {
  async onResponse({ request, response }) {
    if (response.ok) return
    const problem = await Problem.from(response)
    if (response.status === 401 && !new URL(request.url).pathname.endsWith('/session')) onUnauthenticated()
    throw problem
  },
  onError() {
    throw Problem.unreachable()
  },
}

/** api 是管理 API 的客户端；失败一律抛出 Problem，所以 data 总在。 */
export const api = createClient<paths>({ baseUrl: '/api/v1', credentials: 'same-origin' })
api.use(raise)
