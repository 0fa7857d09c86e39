// 写成裸字也读得回同一个字：不像数、布尔、空、时刻，也没有 YAML 里有意思的字符。
const plain = /^[A-Za-z_][\w./-]*$/
const special = /^(?:true|false|yes|no|on|off|y|n|null)$/i

function scalar(v: unknown): string {
  // JSON 的写法都是合法的 YAML。
  return typeof v === 'string' && plain.test(v) && !special.test(v) ? v : JSON.stringify(v)
}

const empty = (v: object) => (Array.isArray(v) ? v.length === 0 : Object.keys(v).length === 0)

/** yaml 把一棵 JSON 的树写成 YAML，供人看、供 controlplane apply 读；缺席的字段不写。 */
export function yaml(value: unknown, indent = ''): string {
  if (typeof value !== 'object' || value === null) return `${indent}${scalar(value)}\n`
  if (empty(value)) return `${indent}${Array.isArray(value) ? '[]' : '{}'}\n`
  if (Array.isArray(value)) return value.map((v) => `${indent}- ${yaml(v, `${indent}  `).trimStart()}`).join('')
  return Object.entries(value)
    .filter(([, v]) => v !== undefined)
    .map(([k, v]) => `${indent}${scalar(k)}:${typeof v === 'object' && v !== null && !empty(v) ? `\n${yaml(v, `${indent}  `)}` : ` ${yaml(v)}`}`)
    .join('')
}
