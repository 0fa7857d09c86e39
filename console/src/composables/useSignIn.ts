import { useQuery } from '@pinia/colada'
import { computed, ref } from 'vue'

import { asProblem } from '@/api/problem'
import { authMethods } from '@/api/session'

import { useClock } from './useClock'
import { useSession } from './useSession'

/** useSignIn 是登录的两步：口令，与换掉一次性口令。失败留在 error 里；节流时 waitSeconds 走着减到 0。 */
export function useSignIn() {
  const session = useSession()
  const methods = useQuery({ key: ['auth-methods'], query: authMethods })
  const busy = ref(false)
  const error = ref<unknown>()
  /** once 是刚才登录用的一次性口令：换口令时不必再写一遍；只在内存里。 */
  const once = ref('')
  const freeAt = ref(0)
  const now = useClock(250)
  const waitSeconds = computed(() => Math.max(0, Math.ceil((freeAt.value - now.value) / 1000)))

  /** attempt 做一步，给出成了没有；throttled 时记下何时可以再试。 */
  async function attempt(step: () => Promise<void>): Promise<boolean> {
    if (busy.value || waitSeconds.value > 0) return false
    busy.value = true
    error.value = undefined
    try {
      await step()
      return true
    } catch (e) {
      error.value = e
      const { retryAfterSeconds } = asProblem(e)
      if (retryAfterSeconds > 0) freeAt.value = Date.now() + retryAfterSeconds * 1000
      return false
    } finally {
      busy.value = false
    }
  }

  function enter(name: string, password: string): Promise<boolean> {
    return attempt(async () => {
      // 先记下：身份一到，换口令的一步当场就画出来。
      once.value = password
      try {
        await session.enter(name.trim(), password)
      } finally {
        if (!session.mustChangePassword) once.value = ''
      }
    })
  }

  function renew(current: string, next: string): Promise<boolean> {
    return attempt(async () => {
      await session.renew(current, next)
      once.value = ''
    })
  }

  /** startOver 放弃换口令，回到头一步。 */
  function startOver(): Promise<boolean> {
    once.value = ''
    return attempt(() => session.leave())
  }

  return { methods, busy, error, once, waitSeconds, enter, renew, startOver }
}
