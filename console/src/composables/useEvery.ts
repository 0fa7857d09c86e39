import { onScopeDispose } from 'vue'

/** useEvery 每隔 ms 做一次 f；页面没有人看着时不做。 */
export function useEvery(ms: number, f: () => void): void {
  const timer = setInterval(() => {
    if (document.visibilityState === 'visible') f()
  }, ms)
  onScopeDispose(() => clearInterval(timer))
}
