import type { Page } from '@playwright/test'

import { axe, bothLanguages, expect, fitsPhone, opens, portraits, signIn, test, type Admin } from './support'

const problems = (page: Page) => page.getByRole('list', { name: /现在不对的地方/ })

/** instead 不让事件流说话，总览换成给的样子：各种不对才凑得齐。 */
async function instead(page: Page, admin: Admin, change: object): Promise<void> {
  const real = await admin.get<object>('/overview')
  await page.route('**/api/v1/events*', (route) => route.abort())
  await page.route('**/api/v1/overview', (route) => route.fulfill({ json: { ...real, ...change } }))
}

const until = '2026-11-30T16:00:00Z'
const everyKind = [
  { kind: 'no_nodes', severity: 'error', detail: 'no data plane node is connected' },
  { kind: 'no_leader', severity: 'error', detail: 'no replica leads admission at this moment' },
  { kind: 'node_rejected', severity: 'error', node: 'dp-1', detail: 'node dp-1 rejected revision 9 and stays at 8: unknown dialect' },
  { kind: 'usage_lost', severity: 'error', value: 12, detail: '12 usage records of today are lost' },
  { kind: 'target_ejected', severity: 'error', server: 'gpu-1', upstream_model: 'org/chat', nodes: 3, until, detail: 'taken out by 3 of 3 nodes: connection refused' },
  { kind: 'budget_exhausted', severity: 'error', app: 'team-a', value: 100.5, until, detail: '' },
  { kind: 'server_queue', severity: 'warning', server: 'gpu-2', value: 0.93, detail: '' },
  { kind: 'node_journal', severity: 'warning', node: 'dp-2', value: 7, detail: 'node dp-2 does not write usage records to disk: no space left' },
  { kind: 'node_behind', severity: 'warning', node: 'dp-2', value: 2, detail: '' },
  { kind: 'node_away', severity: 'warning', node: 'dp/3', detail: '' },
  { kind: 'target_paused', severity: 'warning', server: 'gpu-2', upstream_model: 'm', until, detail: '' },
  { kind: 'accuracy', severity: 'warning', value: 0.99812, detail: '' },
  { kind: 'budget_warning', severity: 'warning', app: 'team b', value: 81.25, until, detail: '' },
  { kind: 'from_the_future', severity: 'warning', detail: 'something this console does not know yet' },
]
const causes = ['/nodes', '/queues', '/nodes?node=dp-1', '/usage', '/servers/gpu-1', '/apps/team-a', '/queues?server=gpu-2', '/nodes?node=dp-2', '/nodes?node=dp-2', '/nodes?node=dp%2F3', '/servers/gpu-2', '/usage', '/apps/team%20b']

test('打出去的请求在总览里看得见：速率、图、最忙的几个', async ({ page, control }) => {
  await signIn(page, 'viewer')
  await control.load({ requests: 20, concurrency: 4 })
  await opens(page, '/', page.getByText('每秒，最近 10 秒').first())
  await control.startLoad({ concurrency: 2 })
  await expect(page.locator('.tile', { hasText: '请求' }).first().locator('strong')).toHaveText(/[1-9]/)
  await expect(page.getByRole('list', { name: /最忙的应用/ }).getByRole('link', { name: 'team-a', exact: true })).toHaveAttribute('href', '/apps/team-a')
  await expect(page.getByRole('list', { name: /最忙的服务器/ }).getByRole('link', { name: 'gpu-1', exact: true })).toBeVisible()
  await expect(page.getByRole('list', { name: /最忙的模型/ }).getByRole('link', { name: 'chat', exact: true })).toHaveAttribute('href', '/models/chat')
  await expect(page.locator('figure canvas')).toHaveCount(2)
  await expect(page.getByText('3/3', { exact: true })).toBeVisible()
  await axe(page)
  await portraits(page, 'overview')
  await fitsPhone(page)
})

test('每一种不对都是一句人话，指到它的缘由；两种语言', async ({ page, admin, allow }) => {
  allow('ERR_FAILED') // 没有事件流
  await signIn(page, 'viewer')
  await instead(page, admin, { problems: everyKind })
  await page.goto('/')
  await bothLanguages(page, async (locale) => {
    const items = page.locator('main ul li:has(.el-icon)')
    await expect(items).toHaveCount(everyKind.length)
    for (const [i, cause] of causes.entries()) await expect(items.nth(i).getByRole('link')).toHaveAttribute('href', cause)
    await expect(items.last()).toContainText('something this console does not know yet')
    await expect(items.nth(11)).toContainText(locale === 'en' ? 'only 99.81%' : '只有 99.81%')
    await expect(items.nth(2)).toContainText('unknown dialect')
    await axe(page)
  })
  await portraits(page, 'overview-problems')
  await fitsPhone(page)
})

test('都好就说都好；没有用过的先说怎样开始', async ({ page, admin, allow }) => {
  allow('ERR_FAILED') // 没有事件流
  await signIn(page, 'viewer')
  const counts = { servers: 0, servers_enabled: 0, models: 0, apps: 0, keys: 0, nodes: 0, nodes_connected: 0, requests_ever: false }
  await instead(page, admin, { problems: [], counts, top: { apps: [], servers: [], models: [] } })
  await page.goto('/')
  await expect(page.getByText(/^一切正常/)).toBeVisible()
  await expect(page.getByText('最近 60 分钟没有请求。')).toHaveCount(3)
  await expect(page.locator('main section[aria-labelledby="guide-title"]')).toBeVisible()
  await axe(page)
})

test('取不到就说为什么，再试一次就好', async ({ page, allow }) => {
  allow(/503/)
  await signIn(page, 'viewer')
  await page.route('**/api/v1/events*', (route) => route.abort())
  allow('ERR_FAILED')
  await page.route('**/api/v1/overview', (route) => route.fulfill({ status: 503, json: { status: 503, code: 'unavailable', detail: 'the database cannot be reached', request_id: 'req-1' } }))
  await page.goto('/')
  await expect(page.getByRole('alert')).toContainText('the database cannot be reached')
  await axe(page)
  await page.unrouteAll()
  await page.getByRole('button', { name: '再试一次' }).click()
  await expect(page.getByRole('alert')).toHaveCount(0)
  await expect(page.getByText('每秒，最近 10 秒').first()).toBeVisible()
})

test('控制面死了：数字褪色、说停在何时；回来就接着走', async ({ page, control, allow }) => {
  allow('Failed to load resource', /response 50\d/)
  await signIn(page, 'viewer')
  await page.goto('/')
  await expect(page.getByText('3/3', { exact: true })).toBeVisible()
  await control.kill('controlplane')
  await expect(page.locator('[data-stale=true]')).toBeVisible()
  await expect(page.getByText(/^停在 /)).toBeVisible()
  await expect(page.getByText(/与控制面的连接断了/)).toBeVisible()
  await expect(page.getByText('3/3', { exact: true })).toBeVisible()
  await axe(page)
  await control.start('controlplane')
  await expect(page.locator('[data-stale=false]')).toBeVisible({ timeout: 20_000 })
  await expect(page.getByText(/^停在 /)).toHaveCount(0)
})

test('数据面死了：总览列出它，点过去看得见失联', async ({ page, control }) => {
  await signIn(page, 'viewer')
  await page.goto('/')
  await expect(page.getByText('3/3', { exact: true })).toBeVisible()
  await control.kill('dataplane-2')
  const away = page.getByRole('link', { name: '数据面 dataplane-2 失联' })
  await expect(away).toBeVisible({ timeout: 20_000 })
  await away.click()
  await expect(page).toHaveURL(/\/nodes\?node=dataplane-2/)
  const row = page.locator('tr[data-node="dataplane-2"]')
  await expect(row).toContainText('失联')
  await expect(row.getByRole('button', { name: 'dataplane-2', exact: true })).toHaveAttribute('aria-expanded', 'true')
})

test('上游死了：总览说目标被摘出，指到那个服务器', async ({ page, control }) => {
  await signIn(page, 'viewer')
  await page.goto('/')
  await control.kill('upstream-2')
  await control.load({ requests: 120, concurrency: 6 })
  const ejected = page.getByRole('link', { name: /服务器 gpu-2 上的 chat.* 被 \d 个数据面摘出/ })
  await expect(ejected).toBeVisible({ timeout: 15_000 })
  await expect(ejected).toHaveAttribute('href', '/servers/gpu-2')
  await expect(problems(page)).toContainText('connect')
})

test('队列快满：总览说出来，指到那个队列', async ({ page, admin, control }) => {
  await signIn(page, 'viewer')
  const gpu = await admin.get<Record<string, unknown>>('/servers/gpu-2')
  await admin.put('/servers/gpu-2', { ...gpu, queue: { timeout_ms: 30_000, max_waiting: 8 } })
  await page.goto('/')
  await control.startLoad({ model: 'slow', concurrency: 10 })
  const crowded = page.getByRole('link', { name: /服务器 gpu-2 的队列到了上限的/ })
  await expect(crowded).toBeVisible({ timeout: 30_000 })
  await crowded.click()
  await expect(page).toHaveURL(/\/queues\?server=gpu-2/)
  await expect(page.locator('tr[data-server]')).toHaveCount(1)
})
