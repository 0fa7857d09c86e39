/** Merged 是三方合并：只有我改的留我的，只有他改的用他的，都改了的留我的并报出名字。 */
export interface Merged<T> {
  value: T
  theirs: (keyof T & string)[]
  both: (keyof T & string)[]
}

// 表单是响应式的代理，structuredClone 不收；它们反正须能写成 JSON。
const copy = <V>(v: V): V => JSON.parse(JSON.stringify(v)) as V
const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b)

/** merge 逐个顶层字段合并；base 是我打开时的样子。字段须能写成 JSON。 */
export function merge<T extends object>(base: T, mine: T, theirs: T): Merged<T> {
  const out: Merged<T> = { value: copy(theirs), theirs: [], both: [] }
  for (const key of Object.keys(base) as (keyof T & string)[]) {
    const moved = !same(base[key], theirs[key])
    const edited = !same(base[key], mine[key])
    if (edited) out.value[key] = copy(mine[key])
    if (moved && !edited) out.theirs.push(key)
    if (moved && edited && !same(mine[key], theirs[key])) out.both.push(key)
  }
  return out
}
