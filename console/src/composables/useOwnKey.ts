import { defineStore } from 'pinia'
import { ref, watch } from 'vue'

import { useSession } from './useSession'

const place = 'vega.playground.key'

/** useOwnKey 是试用时自己的那把密钥：只在内存里；肯让它记着才放进这个标签页的 sessionStorage。从不发给控制面，退出登录即忘掉。 */
export const useOwnKey = defineStore('own-key', () => {
  const stored = sessionStorage.getItem(place)
  const key = ref(stored ?? '')
  const remember = ref(stored !== null)

  watch([key, remember], () => {
    if (remember.value && key.value) sessionStorage.setItem(place, key.value)
    else sessionStorage.removeItem(place)
  }, { flush: 'sync' })

  const session = useSession()
  watch(() => session.identity?.name, () => {
    key.value = ''
    remember.value = false
  })

  return { key, remember }
})
