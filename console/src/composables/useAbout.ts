import { useQuery } from '@pinia/colada'

import { about } from '@/api/live'

/** useAbout 是这套安装：版本、客户端的入口、时区、货币。 */
export function useAbout() {
  return useQuery({ key: ['about'], query: about, staleTime: 60_000 })
}
