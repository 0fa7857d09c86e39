import { ref } from 'vue'

import { type AuditEntry, lastAudited } from '@/api/audit'
import { asProblem } from '@/api/problem'

/** Rival 是抢先的那次改动；查不出是谁时 entry 为 null。 */
export interface Rival {
  entry: AuditEntry | null
}

/** useLastChange 记着「有人在你之前改了它」：412 时去审计里查是谁。 */
export function useLastChange(action: string) {
  const rival = ref<Rival | null>(null)

  /** caught 认得 412 就接住，给出真；别的失败不管。 */
  async function caught(e: unknown, object: string): Promise<boolean> {
    if (asProblem(e).status !== 412) return false
    // 查不出是谁也照样说有冲突：这才是要紧的。
    rival.value = { entry: await lastAudited(action, object).catch(() => null) }
    return true
  }

  return { rival, caught, clear: () => (rival.value = null) }
}
