import { api, ifMatch, type Schemas, type Tagged, tagged } from './client'

/** Settings 是写全了的设置：读来的总是每一项都有。 */
export interface Settings {
  retention: Required<NonNullable<Schemas['Settings']['retention']>>
  requests: Required<NonNullable<Schemas['Settings']['requests']>>
  time_zone: string
  currency: string
}

/** settings 是设置与它的 ETag。 */
export async function settings(): Promise<Tagged<Settings>> {
  const { data, response } = await api.GET('/settings')
  return tagged(data as Settings, response)
}

/** putSettings 整个换掉设置；etag 不符即 412。 */
export async function putSettings(s: Settings, etag: string): Promise<Tagged<Settings>> {
  const { data, response } = await api.PUT('/settings', { params: { header: ifMatch(etag) }, body: s })
  return tagged(data as Settings, response)
}
