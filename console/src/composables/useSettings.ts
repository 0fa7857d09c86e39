import { useMutation, useQuery, useQueryCache } from '@pinia/colada'

import { putSettings, type Settings, settings } from '@/api/settings'

/** useSettings 是设置与它的 ETag。 */
export function useSettings() {
  return useQuery({ key: ['settings'], query: settings, refetchOnWindowFocus: false })
}

/** useSaveSettings 整个换掉设置；时区与货币在别处也用着，一并重新取。 */
export function useSaveSettings() {
  const cache = useQueryCache()
  return useMutation({
    mutation: (v: { to: Settings; etag: string }) => putSettings(v.to, v.etag),
    onSuccess: async (saved) => {
      cache.setQueryData(['settings'], saved)
      await cache.invalidateQueries({ key: ['about'] })
    },
  })
}
