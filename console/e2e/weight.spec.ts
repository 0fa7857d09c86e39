import { gzipSync } from 'node:zlib'

import type { Page } from '@playwright/test'

import { consoleURL, expect, signedIn, signIn, test } from './support'

// 录像与快照也占处理器：量快慢时不录。
test.use({ trace: 'off', screenshot: 'off' })

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

/** usableAt 由页面自己一帧看一次，记下从导航开始到能用的毫秒：标题在，而且没有一块还在取，此后 300 毫秒也没有。从外面轮询会多出几百毫秒。 */
async function usableAt(page: Page, path: string): Promise<number> {
  await page.addInitScript(() => {
    const seen = window as unknown as { usable?: number }
    let since = 0
    const look = () => {
      const now = performance.now()
      const ready = document.querySelector('main h1')?.checkVisibility() && !document.querySelector('main [aria-busy="true"]')
      since = ready ? since || now : 0
      if (ready && now - since >= 300) seen.usable = since
      else requestAnimationFrame(look)
    }
    requestAnimationFrame(look)
  })
  await page.goto(path, { waitUntil: 'commit' })
  const usable = await page.waitForFunction(() => (window as unknown as { usable?: number }).usable)
  return Math.round((await usable.jsonValue())!)
}

test('每一页都很快能用：没有缓存，从输入地址到数据画出来', async ({ page, browser }) => {
  await signIn(page, 'admin')
  const storageState = await page.context().storageState()
  const pages = ['/', '/queues', '/requests', '/usage', '/nodes', '/servers', '/servers/gpu-1', '/models', '/models/chat', '/apps', '/apps/team-a', '/revisions', '/playground', '/audit', '/access', '/settings']
  const took: { path: string; ms: number }[] = []
  for (const path of pages) {
    const context = await browser.newContext({ baseURL: consoleURL(), storageState })
    const fresh = await context.newPage()
    await signedIn(fresh)
    took.push({ path, ms: await usableAt(fresh, path) })
    await context.close()
  }
  for (const x of took) console.log(`figures: console page=${x.path} interactive_ms=${x.ms}`)
  const sorted = took.map((x) => x.ms).sort((a, b) => a - b)
  console.log(`figures: console pages=${took.length} interactive_p50_ms=${sorted[Math.floor(sorted.length / 2)]} interactive_worst_ms=${sorted.at(-1)}`)
  expect(sorted.at(-1), '离谱的慢才算失败：机器忙的时候谁都慢').toBeLessThan(5_000)
})
