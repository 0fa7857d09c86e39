import { ref } from 'vue'

import { asProblem } from '@/api/problem'
import { lastChange } from '@/api/upstream'

/** Change 是抢先的那次改动；查不出是谁时 actor 为空。 */
export interface Change {
  actor: string
  at: string
  summary: string
}

/** useConflict 记着「有人在你之前改了它」：412 时去查是谁。 */
export function useConflict(kind: 'server' | 'model') {
  const change = ref<Change | null>(null)

  /** caught 认得 412 就接住，给出真；别的失败不管。 */
  async function caught(e: unknown, name: string): Promise<boolean> {
    if (asProblem(e).status !== 412) return false
    // 查不出是谁也照样说有冲突：这才是要紧的。
    const r = await lastChange(kind, name).catch(() => null)
    change.value = { actor: r?.actor ?? '', at: r?.created_at ?? '', summary: r?.summary ?? '' }
    return true
  }

  return { change, caught, clear: () => (change.value = null) }
}
