import type { Settings } from '@/api/settings'

/** SettingsForm 是表单里的设置：一层，抽样写成百分数。 */
export interface SettingsForm {
  minutes_days: number
  hours_days: number
  days_days: number
  requests_days: number
  percent: number
  time_zone: string
  currency: string
}

/** retentionFields 是按天保留的四项，次序就是表单里的次序。 */
export const retentionFields = ['minutes_days', 'hours_days', 'days_days', 'requests_days'] as const

/** formOf 把设置摊成表单。 */
export function formOf(s: Settings): SettingsForm {
  return { ...s.retention, percent: Math.round(s.requests.sample * 1e6) / 1e4, time_zone: s.time_zone, currency: s.currency }
}

/** settingsOf 是 formOf 的逆。 */
export function settingsOf(f: SettingsForm): Settings {
  const { minutes_days, hours_days, days_days, requests_days } = f
  return { retention: { minutes_days, hours_days, days_days, requests_days }, requests: { sample: Math.round(f.percent * 1e4) / 1e6 }, time_zone: f.time_zone, currency: f.currency }
}

/** shrunk 是比原来短了的各项：存下就会删数据。 */
export function shrunk(was: SettingsForm, now: SettingsForm): { field: (typeof retentionFields)[number]; from: number; to: number }[] {
  return retentionFields.filter((f) => now[f] < was[f]).map((field) => ({ field, from: was[field], to: now[field] }))
}

/** rebased 把我改过的几项放到别人存下的新样子上。 */
export function rebased(was: SettingsForm, mine: SettingsForm, theirs: SettingsForm): SettingsForm {
  const edits = Object.entries(mine).filter(([k, v]) => v !== was[k as keyof SettingsForm])
  return { ...theirs, ...Object.fromEntries(edits) }
}

/** changed 说表单与原来有没有不同。 */
export function changed(was: SettingsForm, now: SettingsForm): boolean {
  return (Object.keys(was) as (keyof SettingsForm)[]).some((k) => was[k] !== now[k])
}
