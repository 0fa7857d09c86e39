/** 要用的网址与秘密，都由 deploy/browser 给出。 */
function given(name: string): string {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set: run the specs through go test ./browser -run TestConsole in deploy/`)
  return value
}

/** consoleURL 是控制面；apiURL 是第一个数据面，不带 /v1。 */
export const consoleURL = () => given('VEGA_E2E_CONSOLE_URL')
export const apiURL = () => given('VEGA_E2E_API_URL')

/** apiKey 是 app team-a 的密钥 default；别吊销它。 */
export const apiKey = () => given('VEGA_E2E_API_KEY')

/** adminPassword 是操作员 admin 的口令；别换掉它。 */
export const adminPassword = () => given('VEGA_E2E_ADMIN_PASSWORD')

/** upstreamURLs 是两个假上游的入口，以 /v1 结尾；gpu-1 与 gpu-2 各用一个。 */
export const upstreamURLs = () => given('VEGA_E2E_UPSTREAM_URLS').split(' ')

async function ask(method: string, url: string, body: unknown, headers: Record<string, string>): Promise<Response> {
  const response = await fetch(url, {
    method,
    headers: body === undefined ? headers : { 'Content-Type': 'application/json', ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  })
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${await response.text()}`)
  return response
}

async function answer<T>(response: Response): Promise<T> {
  const text = await response.text()
  return (text ? JSON.parse(text) : undefined) as T
}

export type Role = 'viewer' | 'operator' | 'admin'

/** Admin 以引导令牌与管理 API 说话：布置用例要的东西，核对页面做成的事。path 在 /api/v1 之下。 */
export class Admin {
  async call<T = unknown>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<T> {
    const token = { Authorization: `Bearer ${given('VEGA_E2E_ADMIN_TOKEN')}`, ...headers }
    return answer<T>(await ask(method, `${consoleURL()}/api/v1${path}`, body, token))
  }

  get = <T = unknown>(path: string) => this.call<T>('GET', path)
  post = <T = unknown>(path: string, body?: unknown) => this.call<T>('POST', path, body)
  put = <T = unknown>(path: string, body: unknown) => this.call<T>('PUT', path, body)
  delete = (path: string) => this.call('DELETE', path)

  /** apply 应用一份声明并等各节点换上；不删没有提到的。 */
  apply = (document: object) => this.call<{ revision: number; keys: { app: string; name: string; secret: string }[] }>('PUT', '/config?wait=true', document)

  /** manyServers 一次加 n 个停用的服务器，名字是 prefix-0001 起；用例结束时随配置一起还原。 */
  manyServers = (n: number, prefix = 'many') =>
    this.apply({ servers: numbered(n, prefix).map((name) => ({ name, provider: 'openai', base_url: upstreamURLs()[0], enabled: false, limits: { max_concurrency: 4 } })) })

  /** manyKeys 给一个新的 app 一次加 n 把密钥，名字是 key-00001 起。 */
  manyKeys = (n: number, app = 'many-keys') => this.apply({ apps: [{ name: app, models: ['*'], keys: numbered(n, 'key').map((name) => ({ name })) }] })

  /** createOperator 建一个操作员，给出他的一次性口令；已经有了则重置。 */
  async createOperator(name: string, role: Role): Promise<string> {
    const known = await this.get<{ name: string }[]>('/operators')
    const path = known.some((o) => o.name === name) ? `/operators/${encodeURIComponent(name)}/reset-password` : '/operators'
    const made = await this.post<{ one_time_password: string }>(path, path === '/operators' ? { name, role } : undefined)
    return made.one_time_password
  }

  /** endSessions 作废一个操作员的全部会话，如同别处的管理员所为；给出作废了几个。 */
  async endSessions(operator: string): Promise<number> {
    const mine = (await this.get<{ id: string; operator: string }[]>('/sessions?all=true')).filter((s) => s.operator === operator)
    for (const s of mine) await this.delete(`/sessions/${s.id}`)
    return mine.length
  }
}

function numbered(n: number, prefix: string): string[] {
  const width = String(n).length
  return Array.from({ length: n }, (_, i) => `${prefix}-${String(i + 1).padStart(width, '0')}`)
}

export type ProcessName = 'controlplane' | 'dataplane-1' | 'dataplane-2' | 'dataplane-3' | 'upstream-1' | 'upstream-2'

/** Load 是打到网关上的对话：缺省一个请求，模型 chat，app team-a，轮流经三个节点。 */
export interface Load {
  model?: string
  key?: string
  requests?: number
  concurrency?: number
  stream?: boolean
  prompt?: string
}

/** Control 对一整套的进程做事；用例结束时都会还原。 */
export class Control {
  private post = async <T>(path: string, body: unknown = {}) => answer<T>(await ask('POST', given('VEGA_E2E_CONTROL_URL') + path, body, {}))

  reset = () => this.post<void>('/reset')
  stop = (name: ProcessName) => this.post<void>(`/processes/${name}/stop`)
  kill = (name: ProcessName) => this.post<void>(`/processes/${name}/kill`)
  /** start 等到就绪才返回。 */
  start = (name: ProcessName) => this.post<void>(`/processes/${name}/start`)
  /** freeze 停住（SIGSTOP）：连接还在，谁也不答；thaw 放开。 */
  freeze = (name: ProcessName) => this.post<void>(`/processes/${name}/freeze`)
  thaw = (name: ProcessName) => this.post<void>(`/processes/${name}/thaw`)
  /** load 打完给出各状态码的个数，如 {"200": 10}。 */
  load = (load: Load = {}) => this.post<Record<string, number>>('/load', load)
  /** startLoad 在后台打到 stopLoad 或用例结束。 */
  startLoad = (load: Load = {}) => this.post<void>('/load/start', load)
  stopLoad = () => this.post<Record<string, number>>('/load/stop')

  /** behave 给第 n 个假上游（1 或 2）一条剧本，如 {status: 503} 或 {latency: '2s'}；键见 dataplane/upstreamtest。 */
  async behave(n: 1 | 2, behavior: Record<string, unknown>, model = '', count = 0): Promise<void> {
    const base = upstreamURLs()[n - 1]!.replace(/\/v1$/, '')
    await ask('PUT', `${base}/control/behavior`, { model, count, behavior }, {})
  }
}
