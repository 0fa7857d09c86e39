import { api, ifMatch, type Schemas, tagged, type Tagged, written, type Written } from './client'

export type Model = Schemas['Model']
export type Target = Schemas['Target']

/** ModelInput 是写入的样子：缺席的字段用缺省。 */
export type ModelInput = Omit<Model, 'targets' | 'version'> & { targets: (Partial<Target> & { server: string })[] }

const at = (name: string) => ({ path: { name } })

/** listModels 是全部公开模型，按名字升序。 */
export async function listModels(): Promise<Model[]> {
  return (await api.GET('/models')).data!
}

/** getModel 是一个模型与它的 ETag；名字里的斜杠由客户端写成 %2F。 */
export async function getModel(name: string): Promise<Tagged<Model>> {
  const { data, response } = await api.GET('/models/{name}', { params: at(name) })
  return tagged(data!, response)
}

export async function createModel(input: ModelInput): Promise<Written<Model>> {
  const { data, response } = await api.POST('/models', { body: input as Model })
  return written(data!, response)
}

/** putModel 整个替换；etag 不再是现在的则 412。 */
export async function putModel(input: ModelInput, etag = ''): Promise<Written<Model>> {
  const { data, response } = await api.PUT('/models/{name}', { params: { ...at(input.name), header: ifMatch(etag) }, body: input as Model })
  return written(data!, response)
}

export async function deleteModel(name: string): Promise<Written> {
  const { response } = await api.DELETE('/models/{name}', { params: at(name) })
  return written(undefined, response)
}

/** appNames 是全部应用的名字，升序。 */
export async function appNames(): Promise<string[]> {
  return (await api.GET('/apps')).data!.map((a) => a.name)
}
