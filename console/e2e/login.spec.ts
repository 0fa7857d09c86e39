import { expect, signIn, test } from './support'

test('首页由控制面提供，带着 CSP，没有违例', async ({ page, allow }) => {
  allow('status of 401') // 没有登录
  const response = await page.goto('/login')
  expect(response?.status()).toBe(200)
  expect(response?.headers()['content-security-policy']).toContain("script-src 'self'")
  await expect(page.locator('#app > *')).not.toHaveCount(0)
})

for (const role of ['viewer', 'operator', 'admin'] as const) {
  test(`${role} 登录之后进得来`, async ({ page }) => {
    await signIn(page, role)
    await page.goto('/')
    await expect(page).toHaveURL(/\/$/)
    const who = await page.evaluate(async () => (await fetch('/api/v1/session')).json())
    expect(who).toMatchObject({ name: `e2e-${role}`, role })
  })
}
