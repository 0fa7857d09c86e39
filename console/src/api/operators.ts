import { api, ifMatch, type Schemas, type Tagged, tagged } from './client'

export type Operator = Schemas['Operator']
export type OperatorUpdate = Schemas['OperatorUpdate']
export type NewOperator = Schemas['NewOperator']

/** etagOf 是列表里的一行的 ETag：强 ETag 就是加了引号的版本。 */
export function etagOf(o: Operator): string {
  return `"${o.version}"`
}

/** operators 是全部操作员，按名字升序。 */
export async function operators(): Promise<Operator[]> {
  return (await api.GET('/operators')).data!
}

/** operator 是一个操作员与他的 ETag。 */
export async function operator(name: string): Promise<Tagged<Operator>> {
  const { data, response } = await api.GET('/operators/{name}', { params: { path: { name } } })
  return tagged(data!, response)
}

/** createOperator 建立操作员，给出一次性口令。 */
export async function createOperator(o: NewOperator): Promise<string> {
  return (await api.POST('/operators', { body: o })).data!.one_time_password
}

/** putOperator 换掉角色与停用与否；etag 不符即 412。 */
export async function putOperator(name: string, o: OperatorUpdate, etag: string): Promise<Operator> {
  return (await api.PUT('/operators/{name}', { params: { path: { name }, header: ifMatch(etag) }, body: o })).data!
}

/** deleteOperator 删去操作员，连同他的会话与令牌。 */
export async function deleteOperator(name: string, etag: string): Promise<void> {
  await api.DELETE('/operators/{name}', { params: { path: { name }, header: ifMatch(etag) } })
}

/** resetPassword 给操作员一个新的一次性口令，他的会话全部作废。 */
export async function resetPassword(name: string): Promise<string> {
  return (await api.POST('/operators/{name}/reset-password', { params: { path: { name } } })).data!.one_time_password
}
