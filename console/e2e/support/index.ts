import { test as base } from '@playwright/test'

import { Problems } from './problems'
import { Admin, Control } from './stack'

interface Fixtures {
  admin: Admin
  control: Control
  problems: Problems
  /** allow 声明这个用例里会有的控制台错误、5xx 等；没有声明的使用例失败。 */
  allow: Problems['allow']
}

/** test 的每个用例从同一份配置、活着的进程开始；结束时页面上有没有声明过的问题即失败。 */
export const test = base.extend<Fixtures>({
  admin: async ({}, use) => use(new Admin()),
  control: [
    async ({}, use) => {
      const control = new Control()
      await control.reset()
      await use(control)
    },
    { auto: true },
  ],
  problems: [
    async ({ page }, use) => {
      const problems = new Problems()
      await problems.watch(page)
      await use(problems)
      expect(problems.left(), 'what the page complained about').toEqual([])
    },
    { auto: true },
  ],
  allow: async ({ problems }, use) => use(problems.allow),
})

export const expect = test.expect

export { axe, bothLanguages, fitsPhone, opens, portraits } from './looks'
export { fillLogin, operatorOf, password, settled, signedIn, signIn } from './signin'
export { adminPassword, apiKey, apiURL, consoleURL, upstreamURLs, type Admin, type Control, type Load, type Role } from './stack'
