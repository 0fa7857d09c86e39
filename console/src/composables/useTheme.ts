import { computed, ref, watchEffect } from 'vue'

export type ThemeChoice = 'light' | 'dark' | 'auto'

const key = 'vega.theme'
const system = window.matchMedia('(prefers-color-scheme: dark)')
const systemDark = ref(system.matches)
system.addEventListener('change', (e) => (systemDark.value = e.matches))

const stored = localStorage.getItem(key)
const choice = ref<ThemeChoice>(stored === 'light' || stored === 'dark' ? stored : 'auto')
const dark = computed(() => choice.value === 'dark' || (choice.value === 'auto' && systemDark.value))

watchEffect(() => document.documentElement.classList.toggle('dark', dark.value))

/** useTheme 给出明暗：选了就记在本机，auto 跟着系统走。 */
export function useTheme() {
  function choose(next: ThemeChoice) {
    choice.value = next
    localStorage.setItem(key, next)
  }
  return { choice, dark, choose }
}
