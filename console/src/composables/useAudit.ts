import { computed, ref, watch } from 'vue'

import { audit, type AuditEntry, type AuditFilter } from '@/api/audit'

/** useAudit 按条件一页一页取审计；条件变了从头取，先前没有答完的不算数。 */
export function useAudit(filter: () => AuditFilter) {
  const items = ref<AuditEntry[]>([])
  const cursor = ref<string | null>(null)
  const loading = ref(false)
  const loadingMore = ref(false)
  const error = ref<unknown>()
  let round = 0

  async function take(from: string): Promise<void> {
    const mine = round
    error.value = undefined
    try {
      const page = await audit(filter(), from)
      if (mine !== round) return
      items.value = from ? [...items.value, ...page.items] : page.items
      cursor.value = page.next_cursor
    } catch (e) {
      if (mine === round) error.value = e
    }
  }

  /** reload 从最新的重新取。 */
  async function reload(): Promise<void> {
    const mine = ++round
    loading.value = true
    await take('')
    if (mine === round) loading.value = false
  }

  /** more 接着取更旧的一页。 */
  async function more(): Promise<void> {
    if (cursor.value === null || loadingMore.value || loading.value) return
    loadingMore.value = true
    await take(cursor.value)
    loadingMore.value = false
  }

  watch(filter, () => void reload(), { immediate: true, deep: true })

  return { items, loading, loadingMore, error, hasMore: computed(() => cursor.value !== null), reload, more }
}
