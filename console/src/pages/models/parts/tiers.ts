import type { Target } from '@/api/models'

/** TargetDraft 是表单里的一个目标；id 只为列表认得它，upstream_model 空即与公开名相同。 */
export interface TargetDraft {
  id: number
  server: string
  upstream_model: string
  weight: number | null
}

/** Tier 是一层，先用的在前。 */
export interface Tier {
  priority: number
  targets: TargetDraft[]
}

/** Place 是一个目标的位置：第几层、层里第几个。 */
export interface Place {
  tier: number
  index: number
}

let last = 0
/** newTarget 造一个空的目标。 */
export const newTarget = (server = ''): TargetDraft => ({ id: ++last, server, upstream_model: '', weight: null })

/** tiersOf 把目标按层分好；upstream_model 与公开名相同的写成空的。 */
export function tiersOf(targets: Target[], model: string): Tier[] {
  const tiers = new Map<number, TargetDraft[]>()
  for (const t of targets) {
    const list = tiers.get(t.priority ?? 0) ?? []
    list.push({ id: ++last, server: t.server, upstream_model: t.upstream_model === model ? '' : (t.upstream_model ?? ''), weight: t.weight ?? null })
    tiers.set(t.priority ?? 0, list)
  }
  return [...tiers].sort((a, b) => a[0] - b[0]).map(([priority, list]) => ({ priority, targets: list }))
}

/** targetsOf 按眼前的次序写成目标；层的号还是升着的就不动它，乱了才从 0 重新编。 */
export function targetsOf(tiers: Tier[]): (Partial<Target> & { server: string })[] {
  const kept = tiers.filter((t) => t.targets.length > 0)
  const rising = kept.every((t, i) => i === 0 || t.priority > kept[i - 1]!.priority)
  return kept.flatMap((tier, i) => tier.targets.map((t) => ({
    server: t.server, priority: rising ? tier.priority : i,
    ...(t.upstream_model.trim() ? { upstream_model: t.upstream_model.trim() } : {}),
    ...(t.weight === null ? {} : { weight: t.weight }),
  })))
}

/** sharesOf 是一层里各目标的份额（0 至 1）；没有填权重的算 1，全是 0 的都是 0。 */
export function sharesOf(targets: { weight?: number | null }[]): number[] {
  const weights = targets.map((t) => t.weight ?? 1)
  const sum = weights.reduce((a, b) => a + b, 0)
  return weights.map((w) => (sum > 0 ? w / sum : 0))
}

/** moved 把一个目标挪到另一处；to.index 是挪走之前的位置，空了的层收走。tiers 本身不动。 */
export function moved(tiers: Tier[], from: Place, to: Place): Tier[] {
  const out = tiers.map((t) => ({ ...t, targets: [...t.targets] }))
  const [target] = out[from.tier]!.targets.splice(from.index, 1)
  const index = from.tier === to.tier && to.index > from.index ? to.index - 1 : to.index
  out[to.tier]!.targets.splice(index, 0, target!)
  return out.filter((t) => t.targets.length > 0)
}

/** split 让一个目标自成一层，插在第 at 层之前；at 等于层数即在最后。 */
export function split(tiers: Tier[], from: Place, at: number): Tier[] {
  const out = tiers.map((t) => ({ ...t, targets: [...t.targets] }))
  const [target] = out[from.tier]!.targets.splice(from.index, 1)
  out.splice(at, 0, { priority: -1, targets: [target!] })
  return numbered(out.filter((t) => t.targets.length > 0))
}

/** stepped 是键盘的一步：层里挪一格，到头进相邻的层，再到头自成一层；已经在尽头则原样。 */
export function stepped(tiers: Tier[], from: Place, step: -1 | 1): Tier[] {
  const { tier, index } = from
  const size = tiers[tier]!.targets.length
  const inside = index + step
  if (inside >= 0 && inside < size) return moved(tiers, from, { tier, index: step < 0 ? inside : inside + 1 })
  const next = tiers[tier + step]
  if (next) return moved(tiers, from, { tier: tier + step, index: step < 0 ? next.targets.length : 0 })
  return size > 1 ? split(tiers, from, step < 0 ? 0 : tiers.length) : tiers
}

/** swapped 把一层与相邻的一层对调。 */
export function swapped(tiers: Tier[], at: number, step: -1 | 1): Tier[] {
  const out = [...tiers]
  const other = at + step
  if (!out[other]) return tiers
  ;[out[at], out[other]] = [out[other]!, out[at]!]
  return numbered(out)
}

function numbered(tiers: Tier[]): Tier[] {
  return tiers.map((t, priority) => ({ ...t, priority }))
}
