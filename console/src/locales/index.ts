import { createI18n } from 'vue-i18n'

export const locales = ['zh-CN', 'en'] as const
export type Locale = (typeof locales)[number]

const key = 'vega.locale'

// 一种语言一个块：只下载用得着的那一种。
const load: Record<Locale, () => Promise<{ default: Record<string, unknown> }>> = {
  'zh-CN': () => import('./zh-CN'),
  en: () => import('./en'),
}

export const i18n = createI18n({ legacy: false, locale: 'zh-CN', messages: {}, missingWarn: false, fallbackWarn: false })

function preferred(): Locale {
  const stored = localStorage.getItem(key)
  if (stored === 'zh-CN' || stored === 'en') return stored
  return navigator.language.startsWith('zh') || !navigator.language ? 'zh-CN' : 'en'
}

async function use(locale: Locale): Promise<void> {
  if (!i18n.global.availableLocales.includes(locale)) {
    const texts = (await load[locale]()).default
    i18n.global.setLocaleMessage(locale, texts as never)
  }
  i18n.global.locale.value = locale
  document.documentElement.lang = locale
}

/** prepareLocale 在画第一笔之前取来该用的语言。 */
export function prepareLocale(): Promise<void> {
  return use(preferred())
}

/** setLocale 换语言，记在本机，并让屏幕阅读器知道。 */
export async function setLocale(locale: Locale): Promise<void> {
  await use(locale)
  localStorage.setItem(key, locale)
}
