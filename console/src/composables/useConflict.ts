import { ref } from 'vue'

import type { Change } from '@/api/change'
import { asProblem } from '@/api/problem'

/** useConflict 记着「有人在你之前改了它」：412 时去查是谁。find 给出最近一次改动，查不出为 null。 */
export function useConflict(find: (name: string) => Promise<Change | null>) {
  const change = ref<Change | null>(null)
  let asked = 0

  /** caught 认得 412 就接住，给出真；别的失败不管。 */
  async function caught(e: unknown, name: string): Promise<boolean> {
    if (asProblem(e).status !== 412) return false
    const mine = ++asked
    // 查不出是谁也照样说有冲突：这才是要紧的。
    const found = await find(name).catch(() => null)
    if (mine === asked) change.value = found ?? { actor: '', at: '', summary: '', changes: [] }
    return true
  }

  function clear(): void {
    asked++
    change.value = null
  }

  return { change, caught, clear }
}
