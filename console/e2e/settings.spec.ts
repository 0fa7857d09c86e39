import { axe, bothLanguages, expect, fitsPhone, portraits, signIn, test } from './support'

interface Settings { retention: Record<string, number>; requests: { sample: number }; time_zone: string; currency: string }
const usual: Settings = { retention: { minutes_days: 7, hours_days: 400, days_days: 1830, requests_days: 7 }, requests: { sample: 1 }, time_zone: 'Asia/Shanghai', currency: 'CNY' }
let before: Settings | undefined

test.beforeEach(async ({ admin }) => {
  before ??= await admin.get<Settings>('/settings')
  await admin.put('/settings', usual)
})
test.afterAll(async () => {
  const { Admin } = await import('./support/stack')
  if (before) await new Admin().put('/settings', before)
})

test('改抽样、时区与货币，撤销得了；整个控制台的时刻跟着换', async ({ page, admin }) => {
  await signIn(page, 'admin')
  await page.goto('/settings')
  const save = page.getByRole('button', { name: '存下' })
  await expect(save).toBeDisabled()
  await page.getByLabel('存下多少逐条的请求').fill('12.5')
  await page.getByLabel('货币', { exact: true }).fill('eu')
  await expect(page.getByText('三个大写字母，如 CNY')).toBeVisible()
  await page.getByLabel('货币', { exact: true }).fill('eur')
  await page.getByRole('combobox', { name: '时区' }).click()
  await page.keyboard.type('New_York')
  await page.getByRole('option', { name: /America\/New_York/ }).click()
  await save.click()
  await expect(page.getByText('设置已存')).toBeVisible()
  expect(await admin.get('/settings')).toEqual({ ...usual, requests: { sample: 0.125 }, time_zone: 'America/New_York', currency: 'EUR' })
  await page.getByRole('button', { name: '撤销' }).click()
  await expect.poll(() => admin.get('/settings')).toEqual(usual)
  await expect(page.getByLabel('货币', { exact: true })).toHaveValue('CNY')
})

test('缩短保留期要先答应删数据；次序不对存不了', async ({ page, admin }) => {
  await signIn(page, 'admin')
  await page.goto('/settings')
  const days = page.getByLabel(/每天的用量/)
  await days.fill('100')
  await days.press('Tab')
  await expect(page.getByText('要 分钟 ≤ 小时 ≤ 天')).toBeVisible()
  await expect(page.getByRole('button', { name: '存下' })).toBeDisabled()
  await days.fill('1830')
  await page.getByLabel(/逐条的请求（天）/).fill('3')
  await page.getByLabel(/逐条的请求（天）/).press('Tab')
  await page.getByRole('button', { name: '存下' }).click()
  const sure = page.getByRole('dialog', { name: '缩短保留期会删数据' })
  await expect(sure).toContainText('逐条的请求：7 天 → 3 天')
  await axe(page)
  await sure.getByRole('button', { name: '取消' }).click()
  expect(await admin.get('/settings')).toEqual(usual)
  await page.getByRole('button', { name: '存下' }).click()
  await sure.getByRole('button', { name: '缩短并删去' }).click()
  await expect(page.getByText('设置已存')).toBeVisible()
  await expect(page.getByRole('button', { name: '撤销' })).toHaveCount(0)
  expect((await admin.get<Settings>('/settings')).retention.requests_days).toBe(3)
})

test('别人先存了：说出来，取来他的、留着我的', async ({ page, admin, allow }) => {
  allow('status of 412')
  await signIn(page, 'admin')
  await page.goto('/settings')
  await page.getByLabel('货币', { exact: true }).fill('JPY')
  await admin.put('/settings', { ...usual, retention: { ...usual.retention, minutes_days: 14 } })
  await page.getByRole('button', { name: '存下' }).click()
  await expect(page.getByRole('alert')).toContainText('有人在你之前改了它')
  await expect(page.getByRole('alert')).toContainText('minutes_days')
  await page.getByRole('button', { name: '取来并留下我的改动' }).click()
  await expect(page.getByLabel(/每分钟的用量/)).toHaveValue('14')
  await page.getByRole('button', { name: '存下' }).click()
  await expect(page.getByText('设置已存')).toBeVisible()
  expect(await admin.get('/settings')).toEqual({ ...usual, retention: { ...usual.retention, minutes_days: 14 }, currency: 'JPY' })
})

for (const role of ['viewer', 'operator'] as const) {
  test(`${role} 看得见，改不了；自己的语言与明暗可以换`, async ({ page }) => {
    await signIn(page, role)
    await page.goto('/settings')
    await expect(page.getByText('只有管理员能改这些设置')).toBeVisible()
    await expect(page.getByLabel('货币', { exact: true })).toBeDisabled()
    await expect(page.getByRole('button', { name: '存下' })).toHaveCount(0)
    await page.getByRole('main').getByText('深色', { exact: true }).click()
    await expect(page.locator('html')).toHaveClass(/dark/)
    await page.getByRole('main').getByText('English', { exact: true }).click()
    await expect(page.getByRole('heading', { level: 1, name: 'Settings' })).toBeVisible()
    await page.evaluate(() => localStorage.removeItem('vega.theme'))
  })
}

test('样子：两种语言、明暗、手机宽；关于这套安装', async ({ page }) => {
  await signIn(page, 'admin')
  await page.goto('/settings')
  await expect(page.getByText('客户端的入口')).toBeVisible()
  await axe(page)
  await fitsPhone(page)
  await bothLanguages(page, async () => { await expect(page.getByRole('spinbutton')).toHaveCount(5) })
  await portraits(page, 'settings')
})

test('取不到设置时说出来，能再试', async ({ page, allow }) => {
  allow(/503/)
  await signIn(page, 'admin')
  await page.route('**/api/v1/settings', (r) => r.fulfill({ status: 503, contentType: 'application/problem+json', json: { type: 'about:blank', title: 'Service Unavailable', status: 503, code: 'unavailable', detail: 'the database is away' } }))
  await page.goto('/settings')
  await expect(page.getByRole('alert')).toContainText('the database is away')
  await page.unroute('**/api/v1/settings')
  await page.getByRole('button', { name: '再试一次' }).click()
  await expect(page.getByRole('spinbutton')).toHaveCount(5)
})
