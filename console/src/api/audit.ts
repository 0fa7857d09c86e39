import { api, type Schemas } from './client'

export type AuditEntry = Schemas['AuditEntry']
export type AuditPage = Schemas['AuditPage']
export type AuditChange = Schemas['AuditChange']

/** AuditFilter 的各栏空即不限；from 含、to 不含，RFC 3339。 */
export interface AuditFilter {
  actor: string
  action: string
  object: string
  address: string
  from: string
  to: string
}

/** audit 是一页审计，从新到旧；cursor 为空从最新的开始。 */
export async function audit(filter: Partial<AuditFilter>, cursor = '', limit = 50): Promise<AuditPage> {
  const query = Object.fromEntries(Object.entries({ ...filter, cursor }).filter(([, v]) => v !== ''))
  return (await api.GET('/audit', { params: { query: { ...query, limit } } })).data!
}
