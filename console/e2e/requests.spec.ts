import type { Page } from '@playwright/test'

import { axe, bothLanguages, expect, fitsPhone, opens, portraits, signIn, test, type Admin } from './support'

interface Request { id: string; app: string; attempts: { server: string; status: number | null }[]; prompt_tokens: number; completion_tokens: number }

/** app 造一个自己的应用与只去 gpu-1 的模型，给出密钥。 */
async function app(admin: Admin, name: string): Promise<string> {
  const { keys } = await admin.apply({
    models: [{ name: `${name}-model`, targets: [{ server: 'gpu-1', upstream_model: 'chat' }, { server: 'gpu-2', upstream_model: 'chat', priority: 1 }], prices: { input_per_million: 3, output_per_million: 9, currency: 'USD' } }],
    apps: [{ name, models: ['*'], keys: [{ name: 'k' }] }],
  })
  return keys[0]!.secret
}

/** stored 等到这个应用有 n 条查得到，给出它们。 */
async function stored(admin: Admin, name: string, n: number): Promise<Request[]> {
  const ask = async () => (await admin.get<{ items: Request[] }>(`/requests?app=${name}`)).items
  await expect.poll(async () => (await ask()).length, { timeout: 15_000 }).toBe(n)
  return ask()
}

const rows = (page: Page) => page.locator('tbody tr')

test('找得到、筛得了，筛选在地址里，分享得出去', async ({ page, admin, control, context, allow }) => {
  allow('status of 400')
  const key = await app(admin, 'books-find')
  expect(await control.load({ model: 'books-find-model', key, requests: 3 })).toEqual({ '200': 3 })
  await control.behave(1, { status: 400 }, '', 1)
  expect(await control.load({ model: 'books-find-model', key })).toEqual({ '400': 1 })
  await stored(admin, 'books-find', 4)
  await signIn(page, 'viewer')
  await opens(page, '/requests?app=books-find', page.getByRole('table'))
  await expect(rows(page)).toHaveCount(4)
  await page.getByRole('combobox', { name: '结果' }).click({ force: true })
  await page.getByRole('option', { name: '上游 4xx' }).click()
  await page.keyboard.press('Escape')
  await expect(page).toHaveURL(/outcome=client_error/)
  await expect(rows(page)).toHaveCount(1)
  await expect(rows(page).first()).toContainText('400')

  const shared = await context.newPage()
  await shared.goto(page.url())
  await expect(rows(shared)).toHaveCount(1)
  await shared.close()

  await page.goBack()
  await expect(rows(page)).toHaveCount(4)
  await page.getByRole('textbox', { name: /里的一段/ }).pressSequentially('no-such-thing')
  await page.keyboard.press('Enter')
  await expect(page.getByText('没有这样的请求')).toBeVisible()
  await page.getByRole('button', { name: '清除筛选' }).click()
  await expect(page).not.toHaveURL(/app=/)
})

test('跟着看：新的请求约 3 秒内出现，指着表时攒着', async ({ page, admin, control }) => {
  const key = await app(admin, 'books-tail')
  await signIn(page, 'viewer')
  await page.goto('/requests?app=books-tail')
  await page.getByText('跟着看', { exact: true }).click()
  await expect(page).toHaveURL(/tail=true/)
  await expect(page.getByText('在等第一个符合的请求')).toBeVisible()
  await control.load({ model: 'books-tail-model', key })
  const began = Date.now()
  await expect(rows(page)).toHaveCount(1, { timeout: 15_000 })
  console.log(`figures: console tail_ms=${Date.now() - began}`)
  await rows(page).first().hover()
  await control.load({ model: 'books-tail-model', key, requests: 2 })
  await expect(page.getByRole('button', { name: '2 个新的' })).toBeVisible({ timeout: 15_000 })
  await expect(rows(page)).toHaveCount(1)
  // 键盘不动指针：指针一离开表，攒着的自己就进来了。
  await page.getByRole('button', { name: '2 个新的' }).press('Enter')
  await expect(rows(page)).toHaveCount(3)
  const ids = await rows(page).evaluateAll((list) => list.map((r) => (r as HTMLElement).dataset.id))
  expect(new Set(ids).size).toBe(3)
  await axe(page)
})

test('重试过的请求说得出两次调用，号都复制得到', async ({ page, admin, control }) => {
  const key = await app(admin, 'books-story')
  await control.behave(1, { status: 503 }, '', 1)
  expect(await control.load({ model: 'books-story-model', key, stream: true })).toEqual({ '200': 1 })
  const [r] = await stored(admin, 'books-story', 1)
  expect(r!.attempts.length).toBe(2)
  await signIn(page, 'viewer')
  await page.goto('/requests?app=books-story')
  await rows(page).first().getByRole('link').click()
  await expect(page).toHaveURL(new RegExp(`/requests/${r!.id}`))
  const steps = page.getByRole('listitem')
  await expect(steps.filter({ hasText: '第 1 次调用' })).toContainText('503')
  await expect(steps.filter({ hasText: '第 2 次调用' })).toContainText('200')
  await expect(page.getByText(`${r!.id}-2`)).toBeVisible()
  await expect(page.getByRole('button', { name: '复制第 2 次调用的号' })).toBeVisible()
  await expect(page.getByText('上游在应答里写了 token 数。')).toBeVisible()
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
  await page.getByRole('button', { name: '复制请求号' }).click()
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(r!.id)
  await bothLanguages(page, async (locale) => {
    await expect(page.getByRole('heading', { level: 2, name: locale === 'en' ? 'What happened' : '经过' })).toBeVisible()
  })
  await axe(page)
  await fitsPhone(page)
  await portraits(page, 'request')
})

test('没有存下的请求说清楚为什么', async ({ page, allow }) => {
  allow('status of 404')
  await signIn(page, 'viewer')
  await page.goto('/requests/no-such-request')
  await expect(page.getByRole('heading', { name: '找不到这个请求' })).toBeVisible()
  await expect(page.getByText('没有到达过上游')).toBeVisible()
  await axe(page)
  await page.getByRole('link', { name: '当作客户端的号找一找' }).click()
  await expect(page).toHaveURL(/id=no-such-request/)
})

test('查不动时说出来，再试就好', async ({ page, allow }) => {
  allow('status of 503', /^response 503/)
  await signIn(page, 'viewer')
  let fail = true
  await page.route('**/api/v1/requests?*', (r) => (fail ? r.fulfill({ status: 503, contentType: 'application/problem+json', body: JSON.stringify({ status: 503, code: 'unavailable', detail: 'the database is away' }) }) : r.continue()))
  await page.goto('/requests?app=books-none')
  await expect(page.getByText('the database is away')).toBeVisible()
  await axe(page)
  fail = false
  await page.getByRole('button', { name: '再试一次' }).click()
  await expect(page.getByText('没有这样的请求')).toBeVisible()
})

test('翻过一万多行不卡：一次只画一页，往回翻得到原来那一页', async ({ page, admin, control }) => {
  const key = await app(admin, 'books-many')
  await control.load({ model: 'books-many-model', key })
  const [one] = await stored(admin, 'books-many', 1)
  test.setTimeout(180_000) // 一百多次点击，机器忙时点一次就要半秒
  const pages = 105
  await page.route('**/api/v1/requests?*', (route) => {
    const q = new URL(route.request().url()).searchParams
    const at = Number(q.get('cursor') ?? 0)
    const items = Array.from({ length: 100 }, (_, i) => ({ ...one, id: `row-${at * 100 + i}` }))
    return route.fulfill({ json: { items, next_cursor: at + 1 < pages ? String(at + 1) : null, searched_until: null } })
  })
  await signIn(page, 'viewer')
  await page.goto('/requests')
  const older = page.getByRole('button', { name: '更早' })
  const began = Date.now()
  for (let i = 1; i < pages; i++) {
    await older.click()
    await expect(rows(page).first()).toHaveAttribute('data-id', `row-${i * 100}`)
  }
  console.log(`figures: console page=/requests rows=${pages * 100} older_ms=${Math.round((Date.now() - began) / pages)}`)
  await expect(rows(page)).toHaveCount(100)
  await expect(older).toBeDisabled()
  await page.getByRole('button', { name: '更新', exact: true }).click()
  await expect(rows(page).first()).toHaveAttribute('data-id', `row-${(pages - 2) * 100}`)
  await page.goBack()
  await expect(rows(page).first()).toHaveAttribute('data-id', `row-${(pages - 1) * 100}`)
  await page.getByRole('button', { name: '最新' }).click()
  await expect(rows(page).first()).toHaveAttribute('data-id', 'row-0')
})

test('列表在两种语言、明暗、手机宽都好看', async ({ page, admin, control }) => {
  const key = await app(admin, 'books-list')
  await control.load({ model: 'books-list-model', key, requests: 12, stream: true })
  await stored(admin, 'books-list', 12)
  await signIn(page, 'viewer')
  await page.goto('/requests?app=books-list&stream=true')
  await bothLanguages(page, async (locale) => {
    await expect(rows(page)).toHaveCount(12)
    await expect(page.getByRole('heading', { level: 1 })).toHaveText(locale === 'en' ? 'Requests' : '请求')
  })
  await axe(page)
  await fitsPhone(page)
  await portraits(page, 'requests')
})
