/** FieldError 是一处不合规矩的输入；path 与请求体的写法一致，如 servers[0].base_url。 */
export interface FieldError {
  path: string
  message: string
}

/** Problem 是管理 API 的一次失败（RFC 9457）；够不着控制面时 status 为 0、code 为 unreachable。 */
export class Problem extends Error {
  readonly status: number
  readonly code: string
  readonly errors: FieldError[]

  constructor(status: number, code: string, message: string, errors: FieldError[] = []) {
    super(message)
    this.name = 'Problem'
    this.status = status
    this.code = code
    this.errors = errors
  }

  static unreachable(): Problem {
    return new Problem(0, 'unreachable', 'the control plane cannot be reached')
  }

  static async from(response: Response): Promise<Problem> {
    const body: unknown = await response
      .clone()
      .json()
      .catch(() => null)
    const { code, detail, title, errors } = (body ?? {}) as Record<string, unknown>
    return new Problem(
      response.status,
      typeof code === 'string' ? code : 'unavailable',
      typeof detail === 'string' ? detail : typeof title === 'string' ? title : response.statusText,
      Array.isArray(errors) ? (errors as FieldError[]) : [],
    )
  }
}
