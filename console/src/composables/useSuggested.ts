import { computed, ref, type WritableComputedRef } from 'vue'

/** useSuggested 是一个有建议的字段：人没有动过就跟着建议走，动过（哪怕清空）就是他写的。 */
export function useSuggested(suggest: () => string): WritableComputedRef<string> {
  const typed = ref<string>()
  return computed({ get: () => typed.value ?? suggest(), set: (v) => (typed.value = v) })
}
