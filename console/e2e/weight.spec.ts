import { gzipSync } from 'node:zlib'

import { consoleURL, expect, opens, signedIn, signIn, test } from './support'

test('第一次打开登录页：脚本与样式合起来压缩后不过 350 kB，没有图表的库', async ({ page, allow }) => {
  allow('status of 401')
  const loaded = new Map<string, Promise<Buffer>>()
  page.on('response', (r) => {
    if (['script', 'stylesheet'].includes(r.request().resourceType())) loaded.set(r.url(), r.body())
  })
  await page.goto('/login')
  await expect(page.locator('#app > *')).not.toHaveCount(0)
  await page.waitForLoadState('networkidle')
  const bodies = await Promise.all(loaded.values())
  const total = bodies.reduce((sum, b) => sum + gzipSync(b).length, 0)
  console.log(`figures: console login_load_gz_kb=${(total / 1000).toFixed(1)} files=${bodies.length}`)
  expect(bodies.length).toBeGreaterThan(1)
  expect(total).toBeLessThanOrEqual(350_000)
  for (const [url, body] of loaded) expect((await body).includes('_echarts_instance_'), url).toBe(false)
})

test('每一页都很快能用：没有缓存，从输入地址到数据画出来', async ({ page, browser }) => {
  await signIn(page, 'admin')
  const storageState = await page.context().storageState()
  const pages = ['/', '/queues', '/requests', '/usage', '/nodes', '/servers', '/servers/gpu-1', '/models', '/models/chat', '/apps', '/apps/team-a', '/revisions', '/playground', '/audit', '/access', '/settings']
  const took: { path: string; ms: number }[] = []
  for (const path of pages) {
    const context = await browser.newContext({ baseURL: consoleURL(), storageState })
    const fresh = await context.newPage()
    await signedIn(fresh)
    // 标题在，而且没有一块还在取：人这时看得到数，也点得动。
    took.push({ path, ms: await opens(fresh, path, fresh.locator('main:not(:has([aria-busy="true"])) h1')) })
    await context.close()
  }
  const worst = took.reduce((a, b) => (b.ms > a.ms ? b : a))
  const sorted = took.map((x) => x.ms).sort((a, b) => a - b)
  console.log(`figures: console pages=${took.length} interactive_p50_ms=${sorted[Math.floor(sorted.length / 2)]} interactive_worst_ms=${worst.ms} worst=${worst.path}`)
})
