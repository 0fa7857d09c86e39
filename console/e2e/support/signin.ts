import { expect, type BrowserContext, type Page } from '@playwright/test'

import { Admin, type Role } from './stack'

type Cookies = Awaited<ReturnType<BrowserContext['cookies']>>

/** password 是本目录建的操作员的口令。 */
export const password = 'browser-operator-password'

const sessions = new Map<string, Cookies>()

/** operatorOf 是 signIn 用的操作员的名字。 */
export const operatorOf = (role: Role) => `e2e-${role}`

/** fillLogin 在登录页填表并提交，等到离开登录页。 */
export async function fillLogin(page: Page, name: string, secret: string): Promise<void> {
  await page.goto('/login')
  await page.locator('input[autocomplete="username"]').fill(name)
  await page.locator('input[autocomplete="current-password"]').fill(secret)
  await page.keyboard.press('Enter')
  await expect(page).not.toHaveURL(/\/login/)
}

/** settled 建一个操作员（已经有了则重置），替他换掉一次性口令，给出新口令。 */
export async function settled(page: Page, name: string, role: Role): Promise<string> {
  const once = await new Admin().createOperator(name, role)
  const request = page.context().request
  const opened = await request.post('/api/v1/session', { data: { name, password: once } })
  expect(opened.status(), await opened.text()).toBe(201)
  const changed = await request.put('/api/v1/session/password', { data: { current_password: once, new_password: password } })
  expect(changed.status(), await changed.text()).toBe(200)
  return password
}

/** signIn 让这一页以某个角色登录着：经真的登录页，一个角色只登录一次，别的用例接着用那个会话，失效了再登录。 */
export async function signIn(page: Page, role: Role): Promise<void> {
  const context = page.context()
  await signedIn(page)
  const kept = sessions.get(role)
  if (kept) {
    await context.addCookies(kept)
    if ((await context.request.get('/api/v1/session')).ok()) return
    await context.clearCookies()
  }
  const secret = await settled(page, operatorOf(role), role)
  await context.clearCookies()
  const door = await context.newPage() // 登录页自己的问题由它的用例看，不算在这一页头上
  await fillLogin(door, operatorOf(role), secret)
  await door.close()
  sessions.set(role, await context.cookies())
}

/** signedIn 给这一页登录过的记号，只在头一次载入时：cookie 是直接放进来的，没有记号控制台不会去问会话。 */
export async function signedIn(page: Page): Promise<void> {
  await page.addInitScript(() => {
    if (sessionStorage.getItem('seeded')) return
    sessionStorage.setItem('seeded', '1')
    localStorage.setItem('vega.signed-in', 'yes')
  })
  // 已经在控制台里、刚退出过的那一页：开头的脚本不会再放一次。
  if (page.url().startsWith('http')) await page.evaluate(() => localStorage.setItem('vega.signed-in', 'yes'))
}
