import { computed, type WritableComputedRef } from 'vue'
import { useRoute, useRouter } from 'vue-router'

/** useQueryText 是地址栏里的一个参数：换它就换地址，因此可以分享；等于缺省值的不写出来。 */
export function useQueryText(name: string, fallback = ''): WritableComputedRef<string> {
  const route = useRoute()
  const router = useRouter()
  return computed({
    get: () => {
      const v = route.query[name]
      return typeof v === 'string' ? v : fallback
    },
    set: (v) => void router.replace({ query: { ...route.query, [name]: v === fallback ? undefined : v } }),
  })
}
