import type { Model, ModelInput } from '@/api/models'

import { newTarget, type Tier, targetsOf, tiersOf } from './tiers'

/** ModelForm 是抽屉里的样子；价格 null 即没有填，四栏都空即没有定价。 */
export interface ModelForm {
  name: string
  tiers: Tier[]
  fallbacks: string[]
  input: number | null
  cached: number | null
  output: number | null
  currency: string
}

export function emptyForm(): ModelForm {
  return { name: '', tiers: [{ priority: 0, targets: [newTarget()] }], fallbacks: [], input: null, cached: null, output: null, currency: '' }
}

/** formOf 是一个已有的模型；价格的 0 是不收钱，与没有定价不同。 */
export function formOf(m: Model): ModelForm {
  const p = m.prices
  return {
    name: m.name, tiers: tiersOf(m.targets ?? [], m.name), fallbacks: [...(m.fallbacks ?? [])],
    input: p?.input_per_million ?? null, cached: p?.cached_input_per_million ?? null, output: p?.output_per_million ?? null, currency: p?.currency ?? '',
  }
}

/** inputOf 是要写入的；没有选服务器的目标不算写了。 */
export function inputOf(form: ModelForm): ModelInput {
  const tiers = form.tiers.map((t) => ({ ...t, targets: t.targets.filter((x) => x.server !== '') }))
  const out: ModelInput = { name: form.name.trim(), targets: targetsOf(tiers), fallbacks: form.fallbacks.filter((f) => f !== '') }
  const prices: NonNullable<ModelInput['prices']> = {}
  if (form.input !== null) prices.input_per_million = form.input
  if (form.cached !== null) prices.cached_input_per_million = form.cached
  if (form.output !== null) prices.output_per_million = form.output
  if (form.currency.trim()) prices.currency = form.currency.trim().toUpperCase()
  if (Object.keys(prices).length) out.prices = prices
  return out
}

/** bare 是一份抄本，去掉只为列表用的 id，好比较与合并。 */
export function bare(form: ModelForm): ModelForm {
  return JSON.parse(JSON.stringify({ ...form, tiers: form.tiers.map((t) => ({ ...t, targets: t.targets.map((x) => ({ ...x, id: 0 })) })) })) as ModelForm
}

/** numbered 给合并出来的目标新的 id；负的，不与新加的相撞。 */
export function numbered(form: ModelForm): ModelForm {
  let id = 0
  return { ...form, tiers: form.tiers.map((t) => ({ ...t, targets: t.targets.map((x) => ({ ...x, id: --id })) })) }
}
