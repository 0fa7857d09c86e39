import { useQuery } from '@pinia/colada'

import { modelNames } from '@/api/catalog'

/** useModelNames 是全部公开模型的名字。 */
export function useModelNames() {
  return useQuery({ key: ['model-names'], query: modelNames })
}
