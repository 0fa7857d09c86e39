/** merged 把各文件并成一份；两个文件有同一个顶层键是写错了。 */
export function merged(files: Record<string, Record<string, unknown>>): Record<string, unknown> {
  const all: Record<string, unknown> = {}
  for (const [file, texts] of Object.entries(files)) {
    for (const [key, value] of Object.entries(texts)) {
      if (key in all) throw new Error(`${file}: ${key} is in another file too`)
      all[key] = value
    }
  }
  return all
}
