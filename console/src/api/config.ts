import { api, ifMatch, type Schemas, type Tagged, tagged, type Written, written } from './client'

export type Config = Schemas['Config']
export type ChangeResult = Schemas['ChangeResult']
export type NewKey = Schemas['NewKey']

/** Applying 是怎样应用一份声明；etag 为空即不设条件。 */
export interface Applying {
  dryRun?: boolean
  prune?: boolean
  note?: string
  etag?: string
}

/** exportConfig 是当前的配置，不含秘密。 */
export async function exportConfig(): Promise<Tagged<Config>> {
  const { data, response } = await api.GET('/config')
  return tagged(data!, response)
}

/** applyConfig 在一个版本里应用整份声明，或只试算。document 是人写的，合不合规矩由 API 说。 */
export async function applyConfig(document: unknown, how: Applying): Promise<Written<ChangeResult>> {
  const { data, response } = await api.PUT('/config', {
    params: { query: { dry_run: how.dryRun, prune: how.prune, note: how.note || undefined }, header: ifMatch(how.etag ?? '') },
    body: document as Config,
  })
  return written(data!, response)
}
