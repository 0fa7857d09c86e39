import type { Server, ServerInput } from '@/api/servers'

/** NumberPath 是数值字段，写法与 API 的路径一样，错误因此找得到自己的字段。 */
export const limits = ['limits.max_concurrency', 'limits.requests_per_minute', 'limits.tokens_per_minute'] as const
export const queue = ['queue.timeout_ms', 'queue.max_waiting'] as const
export const timeouts = ['timeouts.connect_ms', 'timeouts.first_byte_ms', 'timeouts.idle_ms', 'timeouts.total_ms'] as const
export const pacing = ['abort_grace_ms', 'burst_percent'] as const
export const drain = ['drain.timeout_ms', 'drain.max_tokens', 'drain.max_concurrency'] as const

const paths = [...limits, ...queue, ...timeouts, ...pacing, ...drain] as const
export type NumberPath = (typeof paths)[number]

/** defaults 是缺席时 API 用的值，只作提示；限额缺席即不限。 */
export const defaults: Partial<Record<NumberPath, number>> = {
  'queue.timeout_ms': 30_000, 'queue.max_waiting': 4096,
  'timeouts.connect_ms': 5000, 'timeouts.first_byte_ms': 120_000, 'timeouts.idle_ms': 120_000, 'timeouts.total_ms': 600_000,
  abort_grace_ms: 250, burst_percent: 10,
  'drain.timeout_ms': 20_000, 'drain.max_tokens': 4096, 'drain.max_concurrency': 64,
}

export interface Header {
  name: string
  value: string
}

/** ServerForm 是抽屉里的样子；数值字段键是路径，null 即没有填。key 说凭证怎么办。 */
export type ServerForm = Record<NumberPath, number | null> & {
  name: string
  base_url: string
  enabled: boolean
  key: 'keep' | 'replace' | 'clear'
  api_key: string
  on_disconnect: 'cancel' | 'drain'
  stream_usage: 'auto' | 'always' | 'never'
  headers: Header[]
  ca_pem: string
  proxy_url: string
}

/** emptyForm 是新建：凭证要么写上，要么没有。 */
export function emptyForm(): ServerForm {
  const numbers = Object.fromEntries(paths.map((p) => [p, null])) as Record<NumberPath, null>
  return { ...numbers, name: '', base_url: '', enabled: true, key: 'replace', api_key: '', on_disconnect: 'cancel', stream_usage: 'auto', headers: [], ca_pem: '', proxy_url: '' }
}

/** formOf 是一个已有的服务器。限额的 0 就是不限，写成没有填；别处的 0 有自己的意思，照样写出来。 */
export function formOf(s: Server): ServerForm {
  const form = emptyForm()
  for (const p of paths) {
    const v = read(s, p)
    form[p] = v === undefined || (v === 0 && isLimit(p)) ? null : v
  }
  return {
    ...form, name: s.name, base_url: s.base_url, enabled: s.enabled, key: s.has_api_key ? 'keep' : 'replace',
    on_disconnect: s.on_disconnect ?? 'cancel', stream_usage: s.stream_usage ?? 'auto',
    headers: Object.entries(s.headers ?? {}).map(([name, value]) => ({ name, value })),
    ca_pem: s.ca_pem ?? '', proxy_url: s.proxy_url ?? '',
  }
}

/** inputOf 是要写入的：没有填的数缺席（API 用缺省），凭证按 key 缺席、给出或写成 ""。 */
export function inputOf(form: ServerForm): ServerInput {
  const out: ServerInput = { name: form.name.trim(), provider: 'openai', base_url: form.base_url.trim(), enabled: form.enabled, on_disconnect: form.on_disconnect, stream_usage: form.stream_usage }
  for (const p of paths) {
    const v = form[p]
    if (v !== null && v !== undefined) write(out, p, v)
  }
  if (form.key === 'clear') out.api_key = ''
  if (form.key === 'replace' && form.api_key !== '') out.api_key = form.api_key
  const headers = form.headers.filter((h) => h.name.trim() !== '').map((h) => [h.name.trim(), h.value] as const)
  out.headers = Object.fromEntries(headers)
  if (form.ca_pem.trim()) out.ca_pem = form.ca_pem
  if (form.proxy_url.trim()) out.proxy_url = form.proxy_url.trim()
  return out
}

/** changed 说填过东西没有：关抽屉之前要不要问一声。 */
export const changed = (a: ServerForm, b: ServerForm) => JSON.stringify(a) !== JSON.stringify(b)

function isLimit(p: NumberPath): boolean {
  return p.startsWith('limits.')
}

function read(from: object, path: string): number | undefined {
  return path.split('.').reduce<unknown>((at, k) => (at as Record<string, unknown> | undefined)?.[k], from) as number | undefined
}

function write(into: object, path: string, value: number): void {
  const keys = path.split('.')
  const last = keys.pop()!
  const at = keys.reduce<Record<string, unknown>>((o, k) => (o[k] ??= {}) as Record<string, unknown>, into as Record<string, unknown>)
  at[last] = value
}
