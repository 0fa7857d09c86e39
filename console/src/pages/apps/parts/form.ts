import type { App, AppSettings, Budget } from '@/api/apps'

/** AppForm 是表单里的应用：没有填的数是 null，有没有预算是一个开关。 */
export interface AppForm {
  name: string
  enabled: boolean
  weight: number | null
  class: App['class']
  max_concurrency: number | null
  requests_per_minute: number | null
  tokens_per_minute: number | null
  models: string[]
  default_server: string
  budgeted: boolean
  amount: number | null
  tokens: number | null
  period: NonNullable<Budget['period']>
  time_zone: string
  soft_percent: number | null
}

// 0 与缺席都是不限：表单里写作没有填。
const known = (n: number | undefined) => n || null

/** emptyForm 是新应用；zone 是设置里的时区，预算按它定零点最合人意。 */
export function emptyForm(zone = 'UTC'): AppForm {
  return {
    name: '', enabled: true, weight: 1, class: 'standard', max_concurrency: null, requests_per_minute: null, tokens_per_minute: null,
    models: ['*'], default_server: '', budgeted: false, amount: null, tokens: null, period: 'month', time_zone: zone, soft_percent: 80,
  }
}

/** formOf 把应用写进表单。 */
export function formOf(app: App, zone = 'UTC'): AppForm {
  const b: Partial<Budget> = app.budget ?? {}
  const budgeted = Boolean(b.amount || b.tokens)
  return {
    name: app.name, enabled: app.enabled, weight: app.weight, class: app.class,
    max_concurrency: known(app.limits?.max_concurrency), requests_per_minute: known(app.limits?.requests_per_minute), tokens_per_minute: known(app.limits?.tokens_per_minute),
    models: [...(app.models ?? ['*'])], default_server: app.default_server ?? '',
    budgeted, amount: known(b.amount), tokens: known(b.tokens), period: b.period ?? 'month',
    time_zone: (budgeted && b.time_zone) || zone, soft_percent: budgeted ? (b.soft_percent ?? 80) : 80,
  }
}

/** settingsFrom 把表单写成应用；从不带 keys，所以不动任何密钥。 */
export function settingsFrom(f: AppForm): AppSettings {
  const budget = f.budgeted ? { amount: f.amount ?? 0, tokens: f.tokens ?? 0, period: f.period, time_zone: f.time_zone, soft_percent: f.soft_percent ?? 0 } : {}
  return {
    name: f.name.trim(), enabled: f.enabled, weight: f.weight ?? 1, class: f.class, models: f.models, default_server: f.default_server, budget: budget as Budget,
    limits: { max_concurrency: f.max_concurrency ?? 0, requests_per_minute: f.requests_per_minute ?? 0, tokens_per_minute: f.tokens_per_minute ?? 0 },
  }
}

/** budgetMissing 说打开了预算却一样也没有给：API 会当作没有预算，人多半不是这个意思。 */
export function budgetMissing(f: AppForm): boolean {
  return f.budgeted && !f.amount && !f.tokens
}
