import { createI18n } from 'vue-i18n'

import en from './en.json'
import zh from './zh-CN.json'

export const locales = ['zh-CN', 'en'] as const
export type Locale = (typeof locales)[number]

const key = 'vega.locale'

function preferred(): Locale {
  const stored = localStorage.getItem(key)
  if (stored === 'zh-CN' || stored === 'en') return stored
  return navigator.language.startsWith('zh') || !navigator.language ? 'zh-CN' : 'en'
}

export const i18n = createI18n({
  legacy: false,
  locale: preferred(),
  fallbackLocale: 'zh-CN',
  messages: { 'zh-CN': zh, en },
})

/** setLocale 换语言，记在本机，并让屏幕阅读器知道。 */
export function setLocale(locale: Locale): void {
  i18n.global.locale.value = locale
  document.documentElement.lang = locale
  localStorage.setItem(key, locale)
}

document.documentElement.lang = i18n.global.locale.value
