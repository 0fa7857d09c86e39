import { useQuery } from '@pinia/colada'
import { onScopeDispose, ref } from 'vue'

import { explain } from '@/api/live'

const everyMs = 2000

/** useExplain 每 2 秒问一次一个应用要一个模型会怎样；停着、没选应用、页面看不见时不问。 */
export function useExplain(app: () => string, model: () => string) {
  const paused = ref(false)
  const query = useQuery({ key: () => ['explain', app(), model()], query: () => explain(app(), model()), enabled: () => app() !== '' })
  const timer = setInterval(() => {
    if (!paused.value && app() !== '' && !document.hidden) void query.refetch()
  }, everyMs)
  onScopeDispose(() => clearInterval(timer))
  return { ...query, paused }
}
