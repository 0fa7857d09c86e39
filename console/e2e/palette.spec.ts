import { axe, bothLanguages, expect, fitsPhone, portraits, signIn, test } from './support'

import type { Page } from '@playwright/test'

const ask = (page: Page) => page.getByRole('combobox', { name: '搜索或执行' })
const options = (page: Page) => page.getByRole('listbox', { name: '结果' }).getByRole('option')

async function open(page: Page) {
  await expect(page.getByRole('button', { name: /^搜索/ })).toBeVisible()
  await page.keyboard.press('Control+k')
  await expect(ask(page)).toBeFocused()
}

test('Ctrl-K 打开，只用键盘就去得了一页、一个服务器、一个请求', async ({ page, allow }) => {
  allow('status of 404') // 这个请求没有存下
  await signIn(page, 'operator')
  await page.goto('/')
  await open(page)
  await expect(options(page).first()).toHaveAttribute('aria-selected', 'true')
  await axe(page)
  await ask(page).fill('试一试')
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/\/playground/)
  await expect(page.getByRole('dialog', { name: '搜索或执行' })).toHaveCount(0)

  await open(page)
  await ask(page).fill('gp2')
  await expect(options(page).first()).toContainText('gpu-2')
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/\/servers(\/gpu-2|\?q=gpu-2)$/)

  const id = '0197f3c2-5a1b-7c3d-9e4f-0123456789ab'
  await open(page)
  await ask(page).fill(` ${id} `)
  await expect(options(page)).toHaveCount(1)
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(new RegExp(`/requests/${id}$`))
})

test('上下键绕着走，读屏的人听得到选中的是哪一行；Esc 关掉，焦点回到原处', async ({ page }) => {
  await signIn(page, 'operator')
  await page.goto('/playground')
  const field = page.getByLabel('系统提示')
  await field.focus()
  await open(page)
  await ask(page).fill('chat')
  const selected = page.getByRole('option', { selected: true })
  await expect(selected).toHaveCount(1)
  await expect(ask(page)).toHaveAttribute('aria-activedescendant', (await selected.getAttribute('id'))!)
  await ask(page).fill('新建')
  await expect(options(page)).toHaveCount(3)
  await page.keyboard.press('ArrowUp')
  await expect(options(page).last()).toHaveAttribute('aria-selected', 'true')
  await page.keyboard.press('ArrowDown')
  await expect(options(page).first()).toHaveAttribute('aria-selected', 'true')
  await page.keyboard.press('Escape')
  await expect(page.getByRole('dialog', { name: '搜索或执行' })).toHaveCount(0)
  await expect(field).toBeFocused()
})

test('动作：新建去到名单、换颜色、换语言、退出登录；只读的人没有新建', async ({ page, allow }) => {
  allow('status of 401') // 退出之后
  await signIn(page, 'viewer')
  await page.goto('/')
  await open(page)
  await ask(page).fill('新建')
  await expect(page.getByText('没有像的')).toBeVisible()
  await ask(page).fill('深色')
  await page.keyboard.press('Enter')
  await expect(page.locator('html')).toHaveClass(/dark/)
  await open(page)
  await ask(page).fill('english')
  await page.keyboard.press('Enter')
  await expect(page.locator('html')).toHaveAttribute('lang', 'en')
  await page.keyboard.press('Control+k')
  await page.getByRole('combobox', { name: 'Search or run' }).fill('sign out')
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/\/login/)

  await signIn(page, 'operator')
  await page.goto('/')
  await expect(page.getByRole('button', { name: /^Search/ })).toBeVisible()
  await page.keyboard.press('Control+k')
  await page.getByRole('combobox').fill('new server')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('dialog', { name: 'New server' })).toBeVisible()
  await expect(page).toHaveURL(/\/servers$/)
  for (const [path, title] of [['/models?new=1', 'New model'], ['/apps?new=1', /New app/]] as const) {
    await page.goto(path)
    await expect(page.getByRole('dialog', { name: title })).toBeVisible()
  }
})

test('五百个服务器里照样一打就有', async ({ page, admin }) => {
  await admin.manyServers(500)
  await signIn(page, 'viewer')
  await page.goto('/')
  await page.getByRole('button', { name: /^搜索/ }).click()
  await expect(ask(page)).toBeFocused()
  const began = performance.now()
  await ask(page).fill('many-437')
  await expect(options(page).first()).toContainText('many-437')
  console.log(`figures: console palette_servers=502 first_hit_ms=${Math.round(performance.now() - began)}`)
  await ask(page).fill('many')
  await expect(options(page)).toHaveCount(50)
  await axe(page)
  await fitsPhone(page)
})

test('取不到名字也搜得到页面，说得出为什么；两种语言', async ({ page, allow }) => {
  allow('status of 503', /response 503/)
  await signIn(page, 'viewer')
  await page.route('**/api/v1/servers', (route) => route.fulfill({ status: 503, contentType: 'application/problem+json', json: { status: 503, code: 'unavailable', title: 'x', detail: 'the store is away' } }))
  await page.goto('/')
  await open(page)
  await expect(page.getByRole('alert')).toContainText('the store is away')
  await ask(page).fill('总览')
  await expect(options(page).first()).toContainText('总览')
  await page.unroute('**/api/v1/servers')
  await bothLanguages(page, async (locale) => {
    await expect(page.getByRole('button', { name: locale === 'en' ? /^Search/ : /^搜索/ })).toBeVisible()
    await page.keyboard.press('Control+k')
    await expect(page.getByRole('combobox', { name: locale === 'en' ? 'Search or run' : '搜索或执行' })).toBeFocused()
  })
  await portraits(page, 'palette-closed')
})

test('打开着的样子', async ({ page }) => {
  await signIn(page, 'operator')
  await page.goto('/')
  await open(page)
  await expect(options(page).nth(8)).toBeVisible()
  await axe(page)
  const dir = process.env.VEGA_E2E_SHOTS
  if (!dir) return
  for (const scheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme: scheme })
    await page.screenshot({ path: `${dir}/palette-${scheme}.png` })
  }
})
