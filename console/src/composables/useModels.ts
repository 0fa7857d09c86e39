import { useQuery, useQueryCache } from '@pinia/colada'
import { useI18n } from 'vue-i18n'

import { appNames, createModel, deleteModel, getModel, listModels, type ModelInput, putModel } from '@/api/models'

import { useSaved } from './useSaved'

/** useModels 是全部模型。 */
export function useModels() {
  return useQuery({ key: ['models'], query: listModels })
}

/** useModel 是一个模型与它的 ETag。 */
export function useModel(name: () => string) {
  return useQuery({ key: () => ['models', name()], query: () => getModel(name()) })
}

/** useAppNames 是全部应用的名字。 */
export function useAppNames() {
  return useQuery({ key: ['apps', 'names'], query: appNames })
}

/** useModelWrites 是对模型的写：写完宣布，让读过的都重读。 */
export function useModelWrites() {
  const { t } = useI18n()
  const cache = useQueryCache()
  const saved = useSaved()
  // 重读失败由读它的那处自己说；删掉的不再读它自己。
  const reread = (exact = false) => void cache.invalidateQueries({ key: ['models'], exact }).catch(() => undefined)

  async function create(input: ModelInput): Promise<void> {
    const w = await createModel(input)
    saved.announce(t('models.saved.created', { name: input.name }), w.revision)
    reread()
  }

  async function replace(input: ModelInput, etag: string): Promise<void> {
    const w = await putModel(input, etag)
    saved.announce(t('models.saved.changed', { name: input.name }), w.revision)
    reread()
  }

  async function remove(name: string): Promise<void> {
    const w = await deleteModel(name)
    saved.announce(t('models.saved.deleted', { name }), w.revision)
    reread(true)
  }

  return { create, read: getModel, replace, remove }
}
