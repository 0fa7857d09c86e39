import { gzipSync } from 'node:zlib'

import { expect, test } from './support'

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
