import type { Key } from '@/api/keys'

export type KeyState = 'active' | 'soon' | 'expired'

const soonMs = 7 * 86_400_000

/** stateOf 是一把密钥此刻的处境；一周之内要过期的先说。 */
export function stateOf(key: Pick<Key, 'expires_at'>, now: number): KeyState {
  if (!key.expires_at) return 'active'
  const left = Date.parse(key.expires_at) - now
  return left <= 0 ? 'expired' : left <= soonMs ? 'soon' : 'active'
}

/** nextName 给轮换出来的密钥起名：default → default-2 → default-3，跳过有了的。 */
export function nextName(name: string, taken: string[]): string {
  const found = /^(.*?)-(\d+)$/.exec(name)
  const stem = found ? found[1]! : name
  const used = new Set(taken)
  for (let n = found ? Number(found[2]) + 1 : 2; ; n++) {
    if (!used.has(`${stem}-${n}`)) return `${stem}-${n}`
  }
}

/** found 按名字与末四位找，按处境留。 */
export function found(keys: Key[], text: string, state: KeyState | '', now: number): Key[] {
  const wanted = text.trim().toLowerCase()
  return keys.filter((k) => (!wanted || k.name.toLowerCase().includes(wanted) || k.hint.toLowerCase().includes(wanted)) && (!state || stateOf(k, now) === state))
}

/** quoted 把一段文字写成 shell 的一个词。 */
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`

/** curlLine 是拿着这把密钥就能贴的一行。 */
export function curlLine(base: string, secret: string, model: string): string {
  const body = JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }] })
  return [`curl ${base.replace(/\/$/, '')}/v1/chat/completions`, `-H ${quoted(`Authorization: Bearer ${secret}`)}`, `-H 'Content-Type: application/json'`, `-d ${quoted(body)}`].join(' \\\n  ')
}
