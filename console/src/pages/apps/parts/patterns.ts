/** match 说 name 是否合于 pattern；只有 * 是通配（零个或多个字符），与数据面判得一样：每一段取最左的出现，不回溯。 */
export function match(pattern: string, name: string): boolean {
  const parts = pattern.split('*')
  if (parts.length === 1) return pattern === name
  if (!name.startsWith(parts[0]!)) return false
  let rest = name.slice(parts[0]!.length)
  for (const part of parts.slice(1, -1)) {
    const i = rest.indexOf(part)
    if (i < 0) return false
    rest = rest.slice(i + part.length)
  }
  return rest.endsWith(parts[parts.length - 1]!)
}

/** allowed 是这些写法放行的名字；一个写法也没有即一个也不放行。 */
export function allowed(patterns: string[], names: string[]): string[] {
  return names.filter((n) => patterns.some((p) => match(p, n)))
}

/** idle 是什么也不放行的写法：多半是写错了，或模型还没有建。 */
export function idle(patterns: string[], names: string[]): string[] {
  return patterns.filter((p) => !names.some((n) => match(p, n)))
}
