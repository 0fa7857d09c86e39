/** DiffField 是一个字段的变化；null 与缺席都是没有。 */
export interface DiffField {
  path: string
  from: unknown
  to: unknown
}

/** DiffChange 是一个对象的变化：配置版本之间的差异、试算的结果与审计都是这个样子。 */
export interface DiffChange {
  kind: string
  name: string
  action: 'created' | 'updated' | 'deleted'
  fields?: DiffField[]
}

/** Line 是一段文字里的一行：两边都有、只在旧的、只在新的。 */
export interface Line {
  side: 'same' | 'from' | 'to'
  text: string
}

/** count 数出各做了多少；页面上先给人看的就是它。 */
export function count(changes: DiffChange[]): Record<DiffChange['action'], number> {
  const n = { created: 0, updated: 0, deleted: 0 }
  for (const c of changes) n[c.action]++
  return n
}

const kinds = ['server', 'model', 'app', 'key']
const rankOf = (kind: string) => (kinds.indexOf(kind) + 1 || kinds.length + 1)

/** ordered 把删除放在最前（最要看清的），再按种类与名字。 */
export function ordered<T extends DiffChange>(changes: T[]): T[] {
  const actions = { deleted: 0, updated: 1, created: 2 }
  return [...changes].sort((a, b) => actions[a.action] - actions[b.action] || rankOf(a.kind) - rankOf(b.kind) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
}

/** matching 留下种类、名字或字段里有 text 的；text 为空即全部。 */
export function matching(changes: DiffChange[], text: string): DiffChange[] {
  const wanted = text.trim().toLowerCase()
  if (!wanted) return changes
  return changes.filter((c) => [c.kind, c.name, ...(c.fields ?? []).map((f) => f.path)].some((s) => s.toLowerCase().includes(wanted)))
}

/** written 把一个值写成文字：字原样，别的是 JSON；多行的才换行。没有的写作空串。 */
export function written(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'string') return value
  const flat = JSON.stringify(value)
  return typeof value === 'object' && flat.length > 60 ? JSON.stringify(value, null, 2) : flat
}

// 行太多时不再求最长公共子序列（平方的工夫），一边删一边加照样看得懂。
const mostCells = 250_000

/** lines 逐行比较两段文字，给出看得懂的先后：相同的行只写一次，旧的在新的前面。 */
export function lines(from: string, to: string): Line[] {
  const a = from === '' ? [] : from.split('\n')
  const b = to === '' ? [] : to.split('\n')
  if (a.length * b.length > mostCells) return [...a.map((text) => ({ side: 'from', text }) as Line), ...b.map((text) => ({ side: 'to', text }) as Line)]
  const width = b.length + 1
  const longest = new Uint32Array((a.length + 1) * width)
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      longest[i * width + j] = a[i] === b[j] ? longest[(i + 1) * width + j + 1]! + 1 : Math.max(longest[(i + 1) * width + j]!, longest[i * width + j + 1]!)
    }
  }
  const out: Line[] = []
  let i = 0
  let j = 0
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { out.push({ side: 'same', text: a[i]! }); i++; j++ }
    else if (i < a.length && (j >= b.length || longest[(i + 1) * width + j]! >= longest[i * width + j + 1]!)) out.push({ side: 'from', text: a[i++]! })
    else out.push({ side: 'to', text: b[j++]! })
  }
  return out
}
