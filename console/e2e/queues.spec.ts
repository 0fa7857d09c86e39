import { axe, bothLanguages, expect, fitsPhone, opens, portraits, signIn, test } from './support'

test('排着队的服务器：名额、谁在等、预计等多久', async ({ page, control }) => {
  await signIn(page, 'viewer')
  await control.startLoad({ model: 'slow', concurrency: 9 })
  await opens(page, '/queues', page.locator('tr[data-server]').first())
  const row = page.locator('tr[data-server="gpu-2"]')
  await expect(row.getByRole('img', { name: /2\/2 在途/ })).toBeVisible()
  await expect(row).toContainText('吃紧')
  await expect(row.locator('td.waiting')).toHaveText(/^[1-9]$/)
  await expect(row.getByRole('list', { name: '在 gpu-2 等着的应用' }).getByRole('link', { name: 'team-a' })).toHaveAttribute('href', '/apps/team-a')
  await expect(row.getByTestId('oldest')).toHaveText(/\d(\.\d+)? m?s$/)
  await expect(row.getByRole('listitem').filter({ hasText: 'team-a' })).toContainText(/\d · \d/)
  await expect(row.locator('td').last()).toHaveText(/\d(\.\d+)? s$/)
  // 等得多的在前。
  await expect(page.locator('tr[data-server]').first()).toHaveAttribute('data-server', 'gpu-2')
  await expect(page.getByText(/授予者 .* · 第 \d+ 任/)).toBeVisible()
  await page.getByText('怎么看这张表').click()
  await axe(page)
  await portraits(page, 'queues')
  await fitsPhone(page)
  await control.stopLoad()
  await expect(row.locator('td.waiting')).toHaveText('0', { timeout: 20_000 })
  await expect(row.getByTestId('oldest')).toHaveText('–')
})

test('按名字、按有人在等筛；地址留得住；指着一个服务器的链接只看它', async ({ page, control }) => {
  await signIn(page, 'viewer')
  await control.startLoad({ model: 'slow', concurrency: 6 })
  await page.goto('/queues?only=waiting')
  await expect(page.locator('tr[data-server="gpu-2"]')).toBeVisible()
  await expect(page.locator('tr[data-server]')).toHaveCount(1)
  await page.goto('/queues')
  await page.getByLabel('按服务器的名字找').fill('gpu-1')
  await expect(page).toHaveURL(/q=gpu-1/)
  await expect(page.locator('tr[data-server]')).toHaveCount(1)
  await page.getByLabel('按服务器的名字找').fill('nobody')
  await expect(page.getByText('没有相符的服务器。')).toBeVisible()
  await page.goto('/queues?server=gpu-2')
  await expect(page.locator('tr[data-server]')).toHaveCount(1)
  await page.getByRole('button', { name: '看全部服务器' }).click()
  await expect(page.locator('tr[data-server="gpu-1"]')).toBeVisible()
  await page.goto('/queues?server=gone')
  await expect(page.getByText('没有叫 gone 的服务器。')).toBeVisible()
})

test('速率的余量随请求减少', async ({ page, admin, control }) => {
  await signIn(page, 'viewer')
  const gpu = await admin.get<Record<string, unknown>>('/servers/gpu-1')
  await admin.put('/servers/gpu-1', { ...gpu, limits: { max_concurrency: 100, requests_per_minute: 6000, tokens_per_minute: 1_000_000 } })
  await page.goto('/queues?server=gpu-1')
  const left = page.locator('[data-rate="requests"]')
  await expect(left).toHaveText(/请求 余 600 限 6K\/分/) // 突发是限额的一成
  await expect(page.getByRole('img', { name: /\/100 在途/ })).toBeVisible() // 多于 64 个，画成一条
  await control.startLoad({ model: 'org/embed', concurrency: 4 })
  await expect(left).not.toHaveText(/余 600 /)
})

test('上游要求暂停的目标有倒数', async ({ page, control }) => {
  await signIn(page, 'viewer')
  await page.goto('/queues?server=gpu-2')
  await control.behave(2, { status: 429, retry_after: '20' }, '', 1)
  await control.startLoad({ model: 'slow', concurrency: 1 }) // 它等暂停过去
  await expect(page.getByText(/slow.* 被上游要求暂停，还剩 \d/)).toBeVisible()
})

test('被拒绝的按应用与缘由列出', async ({ page, admin, control }) => {
  await signIn(page, 'viewer')
  const gpu = await admin.get<Record<string, unknown>>('/servers/gpu-2')
  await admin.put('/servers/gpu-2?wait=true', { ...gpu, queue: { timeout_ms: 1000, max_waiting: 1 } })
  expect(Object.keys(await control.load({ model: 'slow', requests: 8, concurrency: 8 }))).toContain('429')
  await page.goto('/queues')
  await expect(page.getByRole('region', { name: '最近 60 分钟的拒绝' }).getByRole('row', { name: /team-a.*queue_(full|timeout)/ }).first()).toBeVisible({ timeout: 20_000 })
})

test('五百个服务器：分页，不卡', async ({ page, admin }) => {
  await admin.manyServers(500)
  await signIn(page, 'viewer')
  await opens(page, '/queues', page.getByText(/^502 个服务器/))
  await expect(page.locator('tr[data-server]')).toHaveCount(25)
  await expect(page.getByText('第 1–25 个，共 502 个')).toBeVisible()
  const began = performance.now()
  await page.getByRole('button', { name: '下一页' }).click()
  await expect(page.getByText('第 26–50 个，共 502 个')).toBeVisible()
  console.log(`figures: console queues servers=502 next_page_ms=${Math.round(performance.now() - began)}`)
  await page.getByLabel('按服务器的名字找').fill('many-499')
  await expect(page.locator('tr[data-server]')).toHaveCount(1)
})

test('断了褪色，回来接着走；没有授予者说得出', async ({ page, control, allow }) => {
  allow('Failed to load resource', /response 50\d/)
  await signIn(page, 'viewer')
  await page.goto('/queues')
  await expect(page.locator('tr[data-server="gpu-1"]')).toBeVisible()
  await control.kill('controlplane')
  await expect(page.locator('[data-stale=true]')).toBeVisible()
  await expect(page.locator('tr[data-server="gpu-1"]')).toBeVisible()
  await axe(page)
  await control.start('controlplane')
  await expect(page.locator('[data-stale=false]')).toBeVisible({ timeout: 30_000 })
  await page.route('**/api/v1/queues', (route) => route.fulfill({ status: 503, json: { status: 503, code: 'unavailable', detail: 'no replica leads admission at this moment; try again' } }))
  await expect(page.getByRole('alert')).toContainText('no replica leads admission', { timeout: 20_000 })
  await expect(page.locator('[data-stale=true]')).toBeVisible()
  await page.unrouteAll()
  await page.getByRole('button', { name: '再试一次' }).click()
  await expect(page.locator('[data-stale=false]')).toBeVisible()
})

test('没有服务器：说去哪里加；英文也俱全', async ({ page, allow }) => {
  allow('ERR_FAILED') // 没有事件流
  await signIn(page, 'viewer')
  await page.route('**/api/v1/events*', (route) => route.abort())
  await page.route('**/api/v1/queues', (route) => route.fulfill({ json: [] }))
  await page.goto('/queues')
  await bothLanguages(page, async (locale) => {
    await expect(page.locator('main').getByRole('link', { name: locale === 'en' ? 'Add a server' : '加一个后端服务器' })).toBeVisible()
    await axe(page)
  })
})
