import { apiKey, axe, bothLanguages, expect, fitsPhone, opens, portraits, signIn, test, upstreamURLs } from './support'

import type { Page } from '@playwright/test'

const message = (page: Page) => page.getByRole('textbox', { name: '说点什么' })
const send = (page: Page) => page.getByRole('button', { name: '发送', exact: true })

async function ready(page: Page, model: string, key = apiKey()) {
  await page.goto(`/playground?model=${model}`)
  await page.getByLabel('密钥', { exact: true }).fill(key)
}

test('以自己的密钥流式对话：看得见用时、token、应答头与命令行，密钥从不给控制面', async ({ page }) => {
  await signIn(page, 'viewer')
  await opens(page, '/playground?model=chat', message(page))
  const secrets: string[] = []
  const answers: string[] = []
  page.on('request', (r) => {
    const said = JSON.stringify(r.headers()) + (r.postData() ?? '') + r.url()
    if (said.includes(apiKey())) secrets.push(new URL(r.url()).pathname)
  })
  page.on('response', (r) => void (r.url().endsWith('/v1/chat/completions') && answers.push(r.headers()['content-type'] ?? '')))

  await expect(send(page)).toBeDisabled()
  await page.getByLabel('密钥', { exact: true }).fill(apiKey())
  await message(page).fill('你好，Vega')
  await page.keyboard.press('Enter')
  const log = page.getByRole('log')
  await expect(log.getByRole('article')).toHaveCount(2)
  const facts = page.locator('dl')
  await expect(facts.locator('div', { hasText: '状态' }).locator('dd')).toHaveText('200')
  await expect(facts.locator('div', { hasText: '后端服务器' }).locator('dd')).toHaveText(/gpu-[12]/)
  for (const name of ['首个 token', '总共']) await expect(facts.locator('div', { hasText: name }).locator('dd')).toHaveText(/\d m?s$/)
  for (const name of ['输入 token', '输出 token', 'token/秒']) await expect(facts.locator('div', { hasText: name }).locator('dd')).toHaveText(/^[\d.,]+K?$/)
  await expect(log.getByRole('article').last().locator('p')).not.toBeEmpty()
  expect(answers).toEqual([expect.stringMatching(/^text\/event-stream\b/)])
  // 预检不算：只有对话的那一个请求带着密钥。
  expect(new Set(secrets)).toEqual(new Set(['/v1/chat/completions']))
  expect(await page.evaluate(() => JSON.stringify({ ...sessionStorage }) + JSON.stringify({ ...localStorage }))).not.toContain('vg-browser')

  await expect(page.getByRole('link', { name: '看它的经过' })).toHaveAttribute('href', /^\/requests\/[\w-]+$/)
  await page.getByText(/^应答头（\d+）$/).click()
  await expect(page.getByText(/^x-request-id: /)).toBeVisible()
  const line = page.getByLabel('同一个请求的命令行')
  await expect(line).toContainText('$VEGA_API_KEY')
  await expect(line).toContainText('你好，Vega')
  await expect(line).not.toContainText(apiKey())
  await page.getByText('写上密钥').click()
  await expect(line).toContainText(apiKey())
  await axe(page)
  await fitsPhone(page)

  await message(page).fill('再说一句')
  await send(page).click()
  await expect(log.getByRole('article')).toHaveCount(4)
})

test('不用流也答得出；参数照样发出去', async ({ page }) => {
  await signIn(page, 'viewer')
  await ready(page, 'chat')
  const sent = page.waitForRequest((r) => r.url().endsWith('/v1/chat/completions') && r.method() === 'POST')
  await page.getByRole('switch', { name: '流式应答' }).press('Space')
  await page.getByLabel('max_tokens').fill('5')
  await page.getByLabel('temperature').fill('0.3')
  await page.getByLabel('系统提示').fill('说得短些')
  await message(page).fill('你好')
  await message(page).press('Enter')
  expect((await sent).postDataJSON()).toEqual({
    model: 'chat', stream: false, temperature: 0.3, max_tokens: 5,
    messages: [{ role: 'system', content: '说得短些' }, { role: 'user', content: '你好' }],
  })
  await expect(page.locator('dl div', { hasText: '输出 token' }).locator('dd')).toHaveText('5')
})

test('停得下来：连接断了，已经来的字留着', async ({ page, admin }) => {
  await admin.apply({ models: [{ name: 'long', targets: [{ server: 'gpu-1', upstream_model: 'long?chunk_delay=300ms&chunks=60' }] }] })
  await signIn(page, 'viewer')
  await ready(page, 'long')
  const failed = page.waitForEvent('requestfailed', (r) => r.url().endsWith('/v1/chat/completions'))
  await message(page).fill('讲一个长的')
  await message(page).press('Enter')
  await expect(page.getByRole('log').getByRole('article').last().locator('p')).toHaveText(/./)
  await expect(page.getByText('等第一个字…')).toHaveCount(0)
  await page.getByRole('button', { name: '停下' }).click()
  await expect(page.getByText('停下了；')).toBeVisible()
  expect((await failed).failure()?.errorText).toMatch(/ABORTED/i)
  await expect(send(page)).toBeVisible()
})

test('错的密钥是 401，说得出怎么办；改对了再试就答', async ({ page, allow }) => {
  allow('status of 401')
  await signIn(page, 'viewer')
  await ready(page, 'chat', 'vg-not-a-key')
  await message(page).fill('你好')
  await message(page).press('Enter')
  const alert = page.getByRole('alert').filter({ hasText: '401' })
  await expect(alert).toContainText('invalid_api_key')
  await expect(alert).toContainText('应用与密钥')
  await axe(page)
  await page.getByLabel('密钥', { exact: true }).fill(apiKey())
  await alert.getByRole('button', { name: '再试一次' }).click()
  await expect(page.locator('dl div', { hasText: '状态' }).locator('dd')).toHaveText('200')
  await expect(page.getByRole('log').getByRole('article')).toHaveCount(2)
})

test('服务器满着：看得见排到第几，轮到了就答', async ({ page, control }) => {
  await control.startLoad({ model: 'slow', concurrency: 6 })
  await signIn(page, 'viewer')
  await ready(page, 'slow')
  await message(page).fill('轮到我了吗')
  await message(page).press('Enter')
  await expect(page.getByText(/在排队，第 \d+ 位/)).toBeVisible({ timeout: 15_000 })
  await control.stopLoad()
  await expect(page.getByRole('log').getByRole('article').last().locator('p')).not.toContainText('在排队', { timeout: 20_000 })
  await expect(page.locator('dl div', { hasText: '总共' }).locator('dd')).toHaveText(/ s$/, { timeout: 20_000 })
})

test('谁也不等的服务器满着是 429：说得出队列满了，要等几秒', async ({ page, admin, control, allow }) => {
  allow('status of 429')
  await admin.apply({
    servers: [{ name: 'tiny', provider: 'openai', base_url: upstreamURLs()[0], api_key: 'sk-upstream', limits: { max_concurrency: 1 }, queue: { timeout_ms: 1 } }],
    models: [{ name: 'tiny', targets: [{ server: 'tiny', upstream_model: 'tiny?latency=20s' }] }],
  })
  await control.startLoad({ model: 'tiny', concurrency: 2 })
  await expect.poll(async () => (await admin.get<{ server: string; in_flight: number }[]>('/queues')).find((q) => q.server === 'tiny')?.in_flight ?? 0).toBeGreaterThan(0)
  await signIn(page, 'viewer')
  await ready(page, 'tiny')
  await page.getByRole('switch', { name: '流式应答' }).press('Space')
  await message(page).fill('你好')
  await message(page).press('Enter')
  const alert = page.getByRole('log').getByRole('alert')
  await expect(alert).toContainText('429')
  await expect(alert).toContainText(/queue_(full|timeout)/)
  await expect(alert).toContainText(/请我们等 \d+ 秒/)
  // 流先开了再失败：状态是 200，说的是同一件事。
  await page.getByRole('switch', { name: '流式应答' }).press('Space')
  await alert.getByRole('button', { name: '再试一次' }).click()
  await expect(alert).toContainText(/queue_(full|timeout)/)
  await expect(alert).not.toContainText('200 ·')
})

test('应用不许用的模型是 403，停用的应用也是，各有说法', async ({ page, admin, allow }) => {
  allow('status of 403')
  const secret = 'vg-playground-narrow-0123456789abcdefghijklmnop'
  await admin.apply({ apps: [{ name: 'narrow', models: ['slow'], keys: [{ name: 'default', secret }] }] })
  await signIn(page, 'viewer')
  await ready(page, 'chat', secret)
  await message(page).fill('你好')
  await message(page).press('Enter')
  const alert = page.getByRole('alert').filter({ hasText: '403' })
  await expect(alert).toContainText('model_not_allowed')
  await admin.apply({ apps: [{ name: 'narrow', models: ['*'], enabled: false }] })
  await alert.getByRole('button', { name: '再试一次' }).click()
  await expect(alert).toContainText('app_disabled')
})

test('数据面够不着时说得出是哪里；没有入口时说怎么设', async ({ page, control, allow }) => {
  allow('ERR_CONNECTION_REFUSED', 'net::ERR')
  await signIn(page, 'viewer')
  await ready(page, 'chat')
  await control.stop('dataplane-1')
  await message(page).fill('你好')
  await message(page).press('Enter')
  await expect(page.getByRole('alert').filter({ hasText: '/v1/chat/completions' })).toContainText('够不到数据面')

  await page.route('**/api/v1/about', async (route) => {
    const response = await route.fetch()
    await route.fulfill({ response, json: { ...(await response.json()), public_api_url: '' } })
  })
  await page.reload()
  await expect(page.getByText('VEGA_PUBLIC_API_URL=https://llm.example.com')).toBeVisible()
  await axe(page)
})

test('两种语言；肯记住的密钥刷新还在，不记就没有了', async ({ page }) => {
  await signIn(page, 'viewer')
  await ready(page, 'chat')
  await page.getByText('在这个标签页里记住').click()
  await bothLanguages(page, async (locale) => {
    await expect(page.getByRole('heading', { level: 1 })).toHaveText(locale === 'en' ? 'Playground' : '试一试')
    await expect(page.getByLabel(locale === 'en' ? 'Key' : '密钥', { exact: true })).toHaveValue(apiKey())
  })
  await message(page).fill('讲讲排队')
  await message(page).press('Enter')
  await expect(page.locator('dl div', { hasText: '总共' }).locator('dd')).toHaveText(/s$/)
  await portraits(page, 'playground')
  await page.getByText('在这个标签页里记住').click()
  await page.reload()
  await expect(page.getByLabel('密钥', { exact: true })).toHaveValue('')
})
