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

/** Document 是人写的一份声明，一字不改地送出：合不合规矩由 API 说。 */
export interface Document {
  text: string
  type: 'application/json' | 'application/yaml'
}

/** applyConfig 在一个版本里应用一份声明，或只试算。 */
export async function applyConfig(document: Config, how: Applying): Promise<Written<ChangeResult>> {
  const { data, response } = await api.PUT('/config', { params: paramsOf(how), body: document })
  return written(data!, response)
}

/** importConfig 同 applyConfig，送的是人写的原文。 */
export async function importConfig(document: Document, how: Applying): Promise<Written<ChangeResult>> {
  const { data, response } = await api.PUT('/config', {
    params: paramsOf(how), headers: { 'Content-Type': document.type }, body: {}, bodySerializer: () => document.text,
  })
  return written(data!, response)
}

function paramsOf(how: Applying) {
  return { query: { dry_run: how.dryRun, prune: how.prune, note: how.note || undefined }, header: ifMatch(how.etag ?? '') }
}
