import { api, ifMatch, type Schemas, type Written, written } from './client'
import type { Applying, ChangeResult } from './config'

export type Revision = Schemas['Revision']
export type RevisionPage = Schemas['RevisionPage']
export type RevisionDiff = Schemas['RevisionDiff']
export type { Written } from './client'

/** listRevisions 是一页配置版本，从新到旧；cursor 为空即第一页。 */
export async function listRevisions(cursor: string, limit = 50): Promise<RevisionPage> {
  return (await api.GET('/revisions', { params: { query: { cursor: cursor || undefined, limit } } })).data!
}

export async function getRevision(revision: number): Promise<Schemas['RevisionDetail']> {
  return (await api.GET('/revisions/{revision}', { params: { path: { revision } } })).data!
}

/** diffRevisions 是从一版到另一版的变化。 */
export async function diffRevisions(from: number, to: number): Promise<RevisionDiff> {
  return (await api.GET('/revisions/{revision}/diff', { params: { path: { revision: from }, query: { to } } })).data!
}

/** rollback 以新的一版恢复旧的内容，或只试算。 */
export async function rollback(revision: number, how: Omit<Applying, 'prune'>): Promise<Written<ChangeResult>> {
  const { data, response } = await api.POST('/revisions/{revision}/rollback', {
    params: { path: { revision }, query: { dry_run: how.dryRun, note: how.note || undefined }, header: ifMatch(how.etag ?? '') },
  })
  return written(data!, response)
}
