import { describe, expect, it } from 'vitest'

// 一种语言的文字可以是一个文件，也可以按名词分开；名词相同的两个文件要说同样的事。
const files = import.meta.glob<Record<string, unknown>>(['./*.json', './*/*.json'], { eager: true, import: 'default' })

/** flat 摊平一个文件：'a.b.c' → 文字。 */
function flat(tree: unknown, path = ''): [string, unknown][] {
  if (tree === null || typeof tree !== 'object') return [[path, tree]]
  return Object.entries(tree).flatMap(([key, value]) => flat(value, path ? `${path}.${key}` : key))
}

/** texts 是一种语言里某个名词的文字；没有这个文件则为空。 */
function texts(locale: string, noun: string): Map<string, unknown> {
  return new Map(flat(files[noun ? `./${locale}/${noun}.json` : `./${locale}.json`] ?? {}))
}

/** placeholders 是一段文字里要填的东西：{name}、{0} 与 @:链接；单复数的各段里算一次。 */
function placeholders(text: unknown): string[] {
  return [...new Set(String(text).match(/\{\s*(?!['"])[^}]*\}|@(?:\.\w+)?:[\w.()]+/g) ?? [])].map((p) => p.replace(/\s/g, '')).sort()
}

const nouns = [...new Set(Object.keys(files).map((f) => /^\.\/[^/]+\/(.+)\.json$/.exec(f)?.[1] ?? ''))].sort()

describe('两种语言的文字', () => {
  it('至少有一个文件，也不在认识的语言之外', () => {
    expect(nouns.length).toBeGreaterThan(0)
    expect(Object.keys(files).filter((f) => !/^\.\/(zh-CN|en)[./]/.test(f))).toEqual([])
  })

  it.each(nouns)('%s：键、占位一样，没有空的，英文里没有汉字', (noun) => {
    const zh = texts('zh-CN', noun)
    const en = texts('en', noun)
    expect(zh.size).toBeGreaterThan(0)
    expect([...en.keys()].sort()).toEqual([...zh.keys()].sort())
    for (const [key, text] of zh) {
      const other = en.get(key)
      for (const t of [text, other]) expect(typeof t === 'string' && t.trim() !== '', `${key} is empty`).toBe(true)
      expect(placeholders(other), key).toEqual(placeholders(text))
      // 语言自己的名字两边都照原样写。
      if (other !== text) expect(other, key).not.toMatch(/\p{Script=Han}/u)
    }
  })
})
