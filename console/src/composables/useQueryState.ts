import { computed, type WritableComputedRef } from 'vue'
import { type LocationQueryRaw, type Router, useRoute, useRouter } from 'vue-router'

/** waiting 是已经换了、地址还没有跟上的参数。 */
const waiting = new WeakMap<Router, LocationQueryRaw>()

/** useQueryText 是地址栏里的一个参数：换它就换地址，因此可以分享；等于缺省值的不写出来。 */
export function useQueryText(name: string, fallback = ''): WritableComputedRef<string> {
  const route = useRoute()
  const router = useRouter()
  return computed({
    get: () => {
      const v = route.query[name]
      return typeof v === 'string' ? v : fallback
    },
    set: (v) => {
      // 换地址要等一拍：同一拍里换的几个参数叠在一起，后一个不盖掉前一个。
      const pending = waiting.get(router) ?? {}
      waiting.set(router, { ...pending, [name]: v === fallback ? undefined : v })
      const mine = waiting.get(router)!
      void router.replace({ query: { ...route.query, ...mine } }).finally(() => { if (waiting.get(router) === mine) waiting.delete(router) })
    },
  })
}
