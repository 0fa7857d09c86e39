import type { Document } from '@/api/config'

/** read 认出人写的是 JSON 还是 YAML；以括号开头的当 JSON，读不懂时错误就照 JSON 说。 */
export function read(text: string): Document {
  return { text, type: /^\s*[{[]/.test(text) ? 'application/json' : 'application/yaml' }
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
