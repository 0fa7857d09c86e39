import { readFile } from 'node:fs/promises'

import type { Page } from '@playwright/test'

import { axe, bothLanguages, expect, fitsPhone, opens, portraits, signIn, test, type Admin, type Control } from './support'

interface Figures { app?: string; requests: number; prompt_tokens: number; completion_tokens: number; cost: number }
interface Report { rows: Figures[]; totals: Figures }

/** used 造两个自己的应用与一个自己的模型，各打几个请求，等到查得到。 */
async function used(admin: Admin, control: Control, tag: string): Promise<Report> {
  const { keys } = await admin.apply({
    models: [{ name: `${tag}-model`, targets: [{ server: 'gpu-1', upstream_model: 'chat' }], prices: { input_per_million: 3, output_per_million: 9, currency: 'USD' } }],
    apps: ['a', 'b'].map((x) => ({ name: `${tag}-${x}`, models: ['*'], keys: [{ name: 'k' }] })),
  })
  const secret = (app: string) => keys.find((k) => k.app === `${tag}-${app}`)!.secret
  expect(await control.load({ model: `${tag}-model`, key: secret('a'), requests: 5 })).toEqual({ '200': 5 })
  expect(await control.load({ model: `${tag}-model`, key: secret('b'), requests: 2, stream: true })).toEqual({ '200': 2 })
  const ask = () => admin.get<Report>(`/usage?group_by=app&model=${tag}-model`)
  await expect.poll(async () => (await ask()).totals.requests, { timeout: 15_000 }).toBe(7)
  return ask()
}

/** choose 打开一个下拉框，选其中一项；选好的字盖在输入框上，因此强点。 */
async function choose(page: Page, label: string, option: string): Promise<void> {
  await page.getByRole('combobox', { name: label, exact: true }).click({ force: true })
  await page.getByRole('option', { name: option, exact: true }).click()
}

const n = (v: number) => new Intl.NumberFormat('zh-CN').format(v)

test('表里的数就是 API 的数，地址可以分享，后退回得去', async ({ page, admin, control, context }) => {
  const report = await used(admin, control, 'books-num')
  await signIn(page, 'viewer')
  await opens(page, '/usage?model=books-num-model', page.getByRole('table'))
  for (const r of report.rows) {
    const row = page.getByRole('row').filter({ has: page.getByRole('rowheader', { name: r.app, exact: true }) })
    await expect(row).toContainText(n(r.requests))
    await expect(row).toContainText(n(r.prompt_tokens))
    await expect(row).toContainText(n(r.completion_tokens))
  }
  const total = page.locator('tfoot')
  await expect(total).toContainText(n(report.totals.prompt_tokens))
  await expect(page.getByText(/上游报的 100%/)).toBeVisible()

  await choose(page, '图上画什么', '费用')
  await expect(page).toHaveURL(/metric=cost/)
  await page.getByText('按时间').click()
  await expect(page).toHaveURL(/rows=time/)
  await page.getByRole('columnheader', { name: '输出 token' }).getByRole('button').click()
  await expect(page.getByRole('columnheader', { name: '输出 token' })).toHaveAttribute('aria-sort', 'descending')

  const shared = await context.newPage()
  await shared.goto(page.url())
  await expect(shared.getByRole('heading', { name: '费用' })).toBeVisible()
  await expect(shared.getByRole('columnheader', { name: '输出 token' })).toHaveAttribute('aria-sort', 'descending')
  await expect(shared.getByRole('rowheader', { name: 'books-num-a' }).first()).toBeVisible()
  await shared.close()

  await page.goBack()
  await page.goBack()
  await expect(page).not.toHaveURL(/rows=time/)
  await page.goForward()
  await expect(page).toHaveURL(/rows=time/)
})

test('选时间段、时区、分组与筛选都进地址，自定的两端按所选的时区', async ({ page, admin, control }) => {
  await used(admin, control, 'books-pick')
  await signIn(page, 'viewer')
  await page.goto('/usage')
  await choose(page, '时间段', '今天')
  await expect(page).toHaveURL(/range=today/)
  await page.getByRole('combobox', { name: '模型', exact: true }).fill('books-pick-model')
  await page.getByRole('option', { name: 'books-pick-model' }).click()
  await expect(page).toHaveURL(/model=books-pick-model/)
  await page.keyboard.press('Escape')
  await choose(page, '分组', '后端服务器')
  await expect(page).toHaveURL(/by=server(,|%2C)app/)
  await page.keyboard.press('Escape')
  await expect(page.getByRole('rowheader', { name: 'gpu-1' }).first()).toBeVisible()

  await page.goto('/usage?range=custom&from=2026-11-01T00:00:00Z&to=2026-11-02T00:00:00Z&tz=Asia/Tokyo')
  await expect(page.getByLabel('起点')).toHaveValue('2026-11-01T09:00')
  await page.getByLabel('终点').fill('2026-11-02T12:00')
  await page.getByLabel('终点').blur()
  await expect(page).toHaveURL(/to=2026-11-02T03(:|%3A)00/)
  await expect(page.getByText('这一段里没有用量')).toBeVisible()
})

test('下载的 CSV 与表一行对一行，curl 是同一句', async ({ page, admin, control }) => {
  const report = await used(admin, control, 'books-csv')
  await signIn(page, 'viewer')
  await page.goto('/usage?model=books-csv-model')
  await page.getByRole('button', { name: '导出' }).click()
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: '下载 CSV' }).click()])
  const [head, ...lines] = (await readFile(await download.path(), 'utf8')).trim().split('\r\n').map((l) => l.split(','))
  const at = (name: string) => head!.indexOf(name)
  expect(lines.map((l) => [l[at('app')], Number(l[at('requests')]), Number(l[at('prompt_tokens')]), Number(l[at('cost')])]).sort())
    .toEqual(report.rows.map((r) => [r.app, r.requests, r.prompt_tokens, r.cost]).sort())
  await expect(page.getByRole('rowheader', { name: /^books-csv-/ })).toHaveCount(lines.length)
  const curl = await page.getByLabel('等价的 curl').innerText()
  const path = /'([^']+)'/.exec(curl)![1]!.replace(/^.*\/api\/v1/, '')
  expect((await admin.get<Report>(path)).totals.requests).toBe(7)
})

test('对账：供应商的 CSV 逐行判断', async ({ page, admin, control, allow }) => {
  await admin.apply({ servers: [{ name: 'books-bill', provider: 'openai', base_url: (await admin.get<{ base_url: string }>('/servers/gpu-1')).base_url }] })
  const { keys } = await admin.apply({
    models: [{ name: 'books-bill-model', targets: [{ server: 'books-bill', upstream_model: 'books-up' }] }],
    apps: [{ name: 'books-bill', models: ['*'], keys: [{ name: 'k' }] }],
  })
  expect(await control.load({ model: 'books-bill-model', key: keys[0]!.secret, requests: 3 })).toEqual({ '200': 3 })
  const ask = () => admin.get<Report>('/usage?model=books-bill-model')
  await expect.poll(async () => (await ask()).totals.requests, { timeout: 15_000 }).toBe(3)
  const { prompt_tokens: input, completion_tokens: output } = (await ask()).totals
  const day = new Date().toISOString().slice(0, 10)

  await signIn(page, 'viewer')
  await page.goto('/usage')
  await page.getByRole('button', { name: '对账' }).click()
  const drawer = page.getByRole('dialog', { name: /账单/ })
  await drawer.getByRole('button', { name: '对照', exact: true }).click()
  await expect(drawer.getByText('先选一个文件')).toBeVisible()
  const bill = (text: string) => drawer.getByLabel('账单（CSV）').setInputFiles({ name: 'bill.csv', mimeType: 'text/csv', buffer: Buffer.from(text) })

  allow('status of 400')
  await bill('what,ever\n1,2\n')
  await drawer.getByRole('button', { name: '对照', exact: true }).click()
  await expect(drawer.getByRole('alert').first()).toContainText('不合规矩')

  await bill(`date,model,requests,input_tokens,output_tokens\n${day},books-up,3,${input},${output}\n${day},books-other,1,10,10\n`)
  await drawer.getByRole('combobox', { name: '账单所属的后端服务器' }).fill('books-bill')
  await page.getByRole('option', { name: 'books-bill' }).click()
  await page.keyboard.press('Escape')
  await drawer.getByRole('button', { name: '对照', exact: true }).click()
  await expect(drawer.getByRole('row').filter({ hasText: 'books-up' })).toContainText('相等')
  await expect(drawer.getByRole('row').filter({ hasText: 'books-other' })).toContainText('我们没有')
  await drawer.getByText('只看有差的').click()
  await expect(drawer.getByRole('row').filter({ hasText: 'books-up' })).toHaveCount(0)
  await axe(page)
})

test('超时说清楚窄哪里，再试就好；没有用量时说做什么', async ({ page, allow }) => {
  allow('status of 504', /^response 504/)
  await signIn(page, 'viewer')
  let fail = true
  await page.route('**/api/v1/usage?*', (r) => (fail ? r.fulfill({ status: 504, contentType: 'application/problem+json', body: JSON.stringify({ status: 504, code: 'timeout', detail: 'the query took longer than 15s' }) }) : r.continue()))
  await page.goto('/usage?model=books-none')
  await expect(page.getByText('问得太宽')).toBeVisible()
  await axe(page)
  fail = false
  await page.getByRole('button', { name: '再试一次' }).first().click()
  await expect(page.getByText('这一段里没有用量')).toBeVisible()
  await axe(page)
})

test('两种语言、明暗、手机宽都好看', async ({ page, admin, control }) => {
  await used(admin, control, 'books-look')
  await signIn(page, 'viewer')
  await page.goto('/usage?model=books-look-model&range=1h')
  await bothLanguages(page, async (locale) => {
    await expect(page.getByRole('rowheader', { name: 'books-look-a' })).toBeVisible()
    await expect(page.getByRole('heading', { level: 1 })).toHaveText(locale === 'en' ? 'Usage' : '用量统计')
    await expect(page.locator('canvas')).toBeVisible()
  })
  await axe(page)
  await page.getByRole('button', { name: '导出' }).click()
  await expect(page.getByLabel('等价的 curl')).toBeVisible()
  await axe(page)
  await page.keyboard.press('Escape')
  await expect(page.getByLabel('等价的 curl')).toBeHidden()
  await fitsPhone(page)
  // 页面自己滚：窗口高一点，照得到下面的表与来源。
  await page.setViewportSize({ width: 1280, height: 1500 })
  await portraits(page, 'usage')
})
