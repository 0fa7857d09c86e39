import { computed } from 'vue'
import { useI18n } from 'vue-i18n'

import { useAbout } from './useAbout'

// 控制面认得的时区浏览器未必认得：不认得就用浏览器自己的，不能让整页的时刻都写不出来。
function known(zone: string | undefined): string | undefined {
  try {
    return zone && new Intl.DateTimeFormat('en', { timeZone: zone }) ? zone : undefined
  } catch {
    return undefined
  }
}

// Intl 把数与汉字连着写；界面别处都隔开。
const spaced = (text: string) => text.replace(/(\d)(?=\p{Script=Han})/u, '$1 ')

type When = string | number | Date

/**
 * useFormat 按界面的语言、设置里的时区与货币写数与时刻；null 与缺席一律写作 –：不知道不是零。
 * chosen 给出别的时区时按它写；空的仍是设置里的。
 */
export function useFormat(chosen?: () => string | undefined) {
  const { locale } = useI18n()
  const { data: about } = useAbout()
  const zone = computed(() => known(chosen?.() || about.value?.time_zone))

  const formats = computed(() => {
    const l = locale.value
    const at = (o: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat(l, { timeZone: zone.value, hourCycle: 'h23', ...o })
    return {
      integer: new Intl.NumberFormat(l, { maximumFractionDigits: 0 }),
      short: new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 }),
      one: new Intl.NumberFormat(l, { maximumFractionDigits: 1 }),
      percent: new Intl.NumberFormat(l, { style: 'percent', maximumFractionDigits: 2 }),
      full: at({ dateStyle: 'medium', timeStyle: 'medium' }),
      minute: at({ month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit' }),
      day: at({ year: 'numeric', month: '2-digit', day: '2-digit' }),
      clock: at({ hour: '2-digit', minute: '2-digit', second: '2-digit' }),
      relative: new Intl.RelativeTimeFormat(l, { numeric: 'auto', style: 'short' }),
    }
  })

  type Maybe<T> = T | null | undefined
  const or = <T>(v: Maybe<T>, f: (v: T) => string) => (v === null || v === undefined || v === '' ? '–' : f(v))

  const integer = (v: Maybe<number>) => or(v, (n) => formats.value.integer.format(n))
  /** short 是 12.3K 这样的写法，用在挤的地方；完整的数放在 title 里。 */
  const short = (v: Maybe<number>) => or(v, (n) => formats.value.short.format(n))
  /** rate 小数只留有意义的一位。 */
  const rate = (v: Maybe<number>) => or(v, (n) => (n >= 100 ? formats.value.short.format(n) : formats.value.one.format(n)))
  /** percent 不把差一点写成全部：0.99996 是 99.99%。 */
  const percent = (v: Maybe<number>) => or(v, (n) => formats.value.percent.format(n < 1 ? Math.min(n, 0.9999) : n))
  const money = (v: Maybe<number>, digits?: number) => or(v, (n) => {
    const fraction = digits ?? (n !== 0 && Math.abs(n) < 1 ? 6 : 2)
    return new Intl.NumberFormat(locale.value, { style: 'currency', currency: about.value?.currency || 'USD', currencyDisplay: 'narrowSymbol', minimumFractionDigits: Math.min(2, fraction), maximumFractionDigits: fraction }).format(n)
  })
  /** ms 是一段时长：832 ms、1.53 s、2 m 05 s。 */
  const ms = (v: Maybe<number>) => or(v, (n) => {
    if (n < 9.95) return `${n.toFixed(1)} ms`
    if (n < 999.5) return `${Math.round(n)} ms`
    if (n < 59_950) return `${(n / 1000).toFixed(n < 9995 ? 2 : 1)} s`
    n = Math.max(n, 60_000)
    return `${Math.floor(n / 60_000)} m ${String(Math.floor((n % 60_000) / 1000)).padStart(2, '0')} s`
  })
  const bytes = (v: Maybe<number>) => or(v, (n) => {
    const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
    let i = 0
    for (; n >= (i === 0 ? 1024 : 1023.95) && i < units.length - 1; i++) n /= 1024
    return `${i === 0 ? n : n.toFixed(1)} ${units[i]}`
  })

  const full = (v: Maybe<When>) => or(v, (w) => formats.value.full.format(new Date(w)))
  const minute = (v: Maybe<When>) => or(v, (w) => formats.value.minute.format(new Date(w)))
  const day = (v: Maybe<When>) => or(v, (w) => formats.value.day.format(new Date(w)))
  const clock = (v: Maybe<When>) => or(v, (w) => formats.value.clock.format(new Date(w)))
  /** ago 是「3 分钟前」「2 小时后」。 */
  const ago = (v: Maybe<When>, now = Date.now()) => or(v, (w) => {
    const s = (new Date(w).getTime() - now) / 1000
    const write = (n: number, unit: Intl.RelativeTimeFormatUnit) => spaced(formats.value.relative.format(Math.round(n), unit))
    if (Math.abs(s) < 59.5) return write(s, 'second')
    if (Math.abs(s) < 3570) return write(s / 60, 'minute')
    if (Math.abs(s) < 84_600) return write(s / 3600, 'hour')
    return write(s / 86_400, 'day')
  })

  return { zone, integer, short, rate, percent, money, ms, bytes, full, minute, day, clock, ago }
}
