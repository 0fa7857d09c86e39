/** Entry 是面板里的一行。hay 已是小写，含各种叫法；kind 相同的排在一组。 */
export interface Entry {
  id: string
  kind: 'action' | 'page' | 'request' | 'server' | 'model' | 'app' | 'node' | 'revision'
  title: string
  /** note 写在右边：地址、状态、谁改的；可空。 */
  note: string
  hay: string
  run: () => unknown
}

/** score 是 query 在 text 里像不像：越大越像，-1 是不像。两者都要是小写。 */
export function score(query: string, text: string): number {
  const at = text.indexOf(query)
  // 整段在里面的总比拆开的好：从头起最好，从词头起次之，越短的名字越准。
  if (at >= 0) return (at === 0 ? 3000 : /[\s\-_./:]/.test(text[at - 1]!) ? 2000 : 1000) - Math.min(text.length, 500)
  let from = 0
  let gaps = 0
  for (const c of query) {
    const i = text.indexOf(c, from)
    if (i < 0) return -1
    if (from > 0) gaps += i - from
    from = i + c.length
  }
  return Math.max(0, 400 - gaps * 10)
}

/** found 挑出像的，像的在前，至多 limit 个；query 为空给出原来的次序。几个词都要像。 */
export function found(entries: Entry[], query: string, limit: number): Entry[] {
  const words = query.trim().toLowerCase().split(/\s+/).filter(Boolean)
  if (words.length === 0) return entries.slice(0, limit)
  const scored: { entry: Entry; points: number; at: number }[] = []
  entries.forEach((entry, at) => {
    let points = 0
    for (const w of words) {
      const s = score(w, entry.hay)
      if (s < 0) return
      points += s
    }
    scored.push({ entry, points, at })
  })
  return scored.sort((a, b) => b.points - a.points || a.at - b.at).slice(0, limit).map((s) => s.entry)
}

/** requestIdIn 认出贴进来的请求号（UUID，或 req_ 之类的前缀加至少 16 个字符）；不是则为空。 */
export function requestIdIn(query: string): string {
  const q = query.trim()
  return /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(q) || /^(?=.*\d)[\w-]{16,128}$/.test(q) ? q : ''
}
