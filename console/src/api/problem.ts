/** FieldError 是一处不合规矩的输入；path 与请求体的写法一致，如 servers[0].base_url。 */
export interface FieldError {
  path: string
  message: string
}

interface Document {
  status: number
  code: string
  detail: string
  reason?: string
  request_id?: string
  errors?: FieldError[]
  retryAfterSeconds?: number
}

/** Problem 是管理 API 的一次失败（RFC 9457）；够不着控制面时 status 为 0、code 为 unreachable。 */
export class Problem extends Error {
  readonly status: number
  readonly code: string
  /** reason 比 code 更细；没有则为空。 */
  readonly reason: string
  readonly requestId: string
  readonly errors: FieldError[]
  /** retryAfterSeconds 是控制面请我们等的秒数；没有说则为 0。 */
  readonly retryAfterSeconds: number

  constructor(d: Document) {
    super(d.detail)
    this.name = 'Problem'
    this.status = d.status
    this.code = d.code
    this.reason = d.reason ?? ''
    this.requestId = d.request_id ?? ''
    this.errors = d.errors ?? []
    this.retryAfterSeconds = d.retryAfterSeconds ?? 0
  }

  static unreachable(): Problem {
    return new Problem({ status: 0, code: 'unreachable', detail: 'the control plane cannot be reached' })
  }

  static async from(response: Response): Promise<Problem> {
    const body: unknown = await response
      .clone()
      .json()
      .catch(() => null)
    return Problem.of(response.status, body, Number(response.headers.get('retry-after')) || 0)
  }

  /** of 读一份问题文档；不是那个样子的（代理的 502 网页）只凭状态码说话。 */
  static of(status: number, body: unknown, retryAfterSeconds = 0): Problem {
    const doc = (typeof body === 'object' && body !== null ? body : {}) as Partial<Document> & { title?: string }
    return new Problem({
      status,
      code: typeof doc.code === 'string' ? doc.code : 'unavailable',
      detail: doc.detail ?? doc.title ?? `HTTP ${status}`,
      reason: doc.reason,
      request_id: doc.request_id,
      errors: Array.isArray(doc.errors) ? doc.errors : [],
      retryAfterSeconds,
    })
  }
}

/** asProblem 把任何抛出的东西说成 Problem，好有一个地方画它。 */
export function asProblem(e: unknown): Problem {
  if (e instanceof Problem) return e
  return new Problem({ status: 0, code: 'internal', detail: e instanceof Error ? e.message : String(e) })
}

/** fieldErrors 是各处的错误，键是路径；表单把它们放在各自的字段下面。 */
export function fieldErrors(e: unknown): Record<string, string> {
  return Object.fromEntries(asProblem(e).errors.map((x) => [x.path, x.message]))
}
