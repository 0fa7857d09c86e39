import { onScopeDispose, readonly, ref, type Ref } from 'vue'

/** useClock 是走着的现在，毫秒；「几秒前」靠它自己走动。 */
export function useClock(everyMs = 1000): Readonly<Ref<number>> {
  const now = ref(Date.now())
  const timer = setInterval(() => (now.value = Date.now()), everyMs)
  onScopeDispose(() => clearInterval(timer))
  return readonly(now)
}
