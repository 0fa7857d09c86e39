import { describe, expect, it } from 'vitest'

import { passwordRules } from './passwordRules'

const broken = (operator: string, current: string, next: string) => passwordRules(operator, current, next).filter((r) => !r.ok).map((r) => r.name)

describe('口令的规矩', () => {
  it.each([
    ['够长又不沾名字', 'zhang', 'old', 'correct-horse-battery', []],
    ['短一个字符', 'zhang', 'old', 'elevenchars', ['length']],
    ['汉字按字数算', 'zhang', 'old', '床前明月光疑是地上霜举头', []],
    ['表情也是一个字符', 'zhang', 'old', '😀😁😂🤣😃😄😅😆😉😊😋', ['length']],
    ['字节太多', 'zhang', 'old', `${'很'.repeat(85)}ab`, ['bytes']],
    ['一个字符重复', 'zhang', 'old', 'aaaaaaaaaaaaaa', ['varied']],
    ['以名字为主', 'zhang', 'old', 'Zhang12345678', ['notName']],
    ['有名字而足够长', 'zhang', 'old', 'zhang-and-twelve-more', []],
    ['与现在的相同', 'zhang', 'correct-horse-battery', 'correct-horse-battery', ['differs']],
    ['空的一条也不满足长度', 'zhang', 'old', '', ['length', 'varied', 'notName', 'differs']],
  ])('%s', (_, operator, current, next, want) => {
    expect(broken(operator, current, next)).toEqual(want)
  })
})
