/** Parsed 是读人写的文档的结果：document 或 error，yaml 为真即看着像 YAML。 */
export interface Parsed {
  document?: unknown
  error: string
  yaml: boolean
}

/** parse 读一份 JSON 文档；读不出来说在哪里。 */
export function parse(text: string): Parsed {
  try {
    const document: unknown = JSON.parse(text)
    if (typeof document !== 'object' || document === null || Array.isArray(document)) return { error: '{ "servers": […], "models": […], "apps": […] }', yaml: false }
    return { document, error: '', yaml: false }
  } catch (e) {
    return { error: e instanceof Error ? e.message : String(e), yaml: /^\s*(?:#|---|(?:servers|models|apps)\s*:)/m.test(text) && !/^\s*[{[]/.test(text) }
  }
}

/** fileName 是下载的文件的名字，带着版本。 */
export function fileName(revision: number, kind: 'json' | 'yaml'): string {
  return `vega-r${revision}.${kind}`
}

/** download 把文字交给浏览器存成文件。 */
export function download(name: string, text: string, type: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }))
  const a = document.createElement('a')
  a.href = url
  a.download = name
  a.click()
  // 立刻收回会让慢的浏览器来不及读。
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}
