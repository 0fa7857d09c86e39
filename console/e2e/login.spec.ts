import { axe, bothLanguages, expect, fillLogin, fitsPhone, opens, password, portraits, settled, signIn, test } from './support'

const nameBox = 'input[autocomplete="username"]'
const passwordBox = 'input[autocomplete="current-password"]'

test('首页由控制面提供，带着 CSP，没有违例；没有登录过就不去问会话', async ({ page, problems }) => {
  const response = await page.goto('/login')
  expect(response?.headers()['content-security-policy']).toContain("script-src 'self'")
  await expect(page.getByRole('heading', { name: '登录' })).toBeVisible()
  await page.goto('/servers')
  await expect(page).toHaveURL(/\/login\?next=\/servers/)
  expect(problems.all()).toEqual([])
})

for (const role of ['viewer', 'operator', 'admin'] as const) {
  test(`${role} 登录之后进得来`, async ({ page }) => {
    await signIn(page, role)
    await page.goto('/')
    await expect(page.getByRole('button', { name: '账号' })).toContainText(`e2e-${role}`)
    const who = await page.evaluate(async () => (await fetch('/api/v1/session')).json())
    expect(who).toMatchObject({ name: `e2e-${role}`, role })
  })
}

test('口令不对：说出来，选中口令再写；对了就去原来要去的页', async ({ page, allow }) => {
  allow('status of 401')
  await settled(page, 'li', 'viewer')
  await page.context().clearCookies()
  await page.goto('/settings?x=1')
  await page.locator(nameBox).fill('li')
  await page.locator(passwordBox).fill('not-the-password')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('alert')).toContainText('名字或口令不对')
  await expect(page.locator(passwordBox)).toBeFocused()
  await page.keyboard.type(password)
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/\/settings\?x=1$/)
})

test('别处的网址不跟着去', async ({ page }) => {
  const secret = await settled(page, 'li', 'viewer')
  await page.context().clearCookies()
  await page.goto('/login?next=//example.invalid/steal')
  await page.locator(nameBox).fill('li')
  await page.locator(passwordBox).fill(secret)
  await page.keyboard.press('Enter')
  await expect(page.getByRole('button', { name: '账号' })).toBeVisible()
  expect(new URL(page.url()).pathname).toBe('/')
})

test('一次性口令登录之后要换掉：规矩随写随查，换了才进得去', async ({ page, admin, allow }) => {
  const once = await admin.createOperator('wang', 'operator')
  await page.goto('/login?next=/settings')
  await page.locator(nameBox).fill('wang')
  await page.locator(passwordBox).fill(once)
  await page.keyboard.press('Enter')
  await expect(page.getByRole('heading', { name: '换掉一次性口令' })).toBeVisible()
  const go = page.getByRole('button', { name: '换掉并进入' })
  const rules = page.getByRole('list', { name: '新口令的规矩' })
  const next = page.getByLabel('新口令', { exact: true })
  await next.fill('wang1234567')
  await expect(rules).toContainText('不以登录名为主（还没有满足）')
  await expect(go).toBeDisabled()
  await axe(page)
  await portraits(page, 'login-change')
  await page.reload() // 刚才写的口令不在了：要再写一遍
  await page.locator(passwordBox).fill('not-this-one')
  await next.fill('a-phrase-of-my-own')
  await page.getByLabel('再写一遍新口令').fill('a-phrase-of-my-owm')
  await expect(page.getByText('两遍不一样')).toBeVisible()
  await page.getByLabel('再写一遍新口令').fill('a-phrase-of-my-own')
  allow('status of 400')
  await go.click()
  await expect(page.getByText('is not right')).toBeVisible()
  await page.goto('/servers') // 没换掉之前哪里也去不了
  await expect(page).toHaveURL(/\/login/)
  await page.locator(passwordBox).fill(once)
  await next.fill('a-phrase-of-my-own')
  await page.getByLabel('再写一遍新口令').fill('a-phrase-of-my-own')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('button', { name: '账号' })).toContainText('wang')
})

test('失败多了要等：秒数走着，等完就能再试', async ({ page, allow }) => {
  allow('status of 401', 'status of 429')
  const secret = await settled(page, 'zhou', 'viewer')
  await page.context().clearCookies()
  await page.goto('/login')
  await page.locator(nameBox).fill('zhou')
  for (let i = 0; i < 8; i++) {
    await page.locator(passwordBox).fill(`wrong-${i}`)
    await page.keyboard.press('Enter')
    await expect(page.getByRole('alert')).toContainText(/名字或口令不对|秒后可以再试/)
    if (await page.getByText(/秒后可以再试/).isVisible()) break
  }
  await expect(page.getByRole('alert')).toContainText(/失败的登录太多，\d+ 秒后可以再试/)
  await expect(page.getByRole('button', { name: /秒后再试/ })).toBeDisabled()
  await axe(page)
  await expect(page.getByRole('button', { name: '登录', exact: true })).toBeEnabled({ timeout: 65_000 })
  await page.locator(passwordBox).fill(secret)
  await page.keyboard.press('Enter')
  await expect(page).not.toHaveURL(/login/)
})

test('会话在别处被收回：回到登录页，说明缘由，登录之后回到原来的页', async ({ page, admin, allow }) => {
  allow('status of 401')
  const secret = await settled(page, 'zhao', 'operator')
  await page.context().clearCookies()
  await fillLogin(page, 'zhao', secret)
  await page.goto('/settings')
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
  expect(await admin.endSessions('zhao')).toBeGreaterThan(0)
  await page.reload()
  await expect(page).toHaveURL(/\/login\?next=\/settings/)
  await expect(page.getByRole('status')).toContainText('会话已结束')
  await axe(page)
  await page.locator(nameBox).fill('zhao')
  await page.locator(passwordBox).fill(secret)
  await page.keyboard.press('Enter')
  await expect(page).not.toHaveURL(/login/)
  // 开着的页也发现得了，不必重新载入：事件流会说。
  expect(await admin.endSessions('zhao')).toBeGreaterThan(0)
  await expect(page).toHaveURL(/\/login\?next=\/settings/, { timeout: 30_000 })
  await expect(page.getByRole('status')).toContainText('会话已结束')
})

test('退出登录之后没有「会话已结束」，也回不去', async ({ page, problems }) => {
  const secret = await settled(page, 'sun', 'viewer')
  await page.context().clearCookies()
  await fillLogin(page, 'sun', secret)
  await page.getByRole('button', { name: '账号' }).click()
  await page.getByRole('menuitem', { name: '退出登录' }).click()
  await expect(page).toHaveURL(/\/login$/)
  await expect(page.getByText('会话已结束')).toHaveCount(0)
  await page.goto('/')
  await expect(page).toHaveURL(/\/login/)
  expect((await page.context().cookies()).filter((c) => c.value !== '')).toEqual([])
  expect(problems.all()).toEqual([])
})

test('有身份提供方时给出它，带着要去的页；它没让进就说为什么', async ({ page }) => {
  await page.route('**/api/v1/auth/methods', (r) => r.fulfill({ json: { password: true, transport: { ok: true, secure: true }, oidc: { label: 'Keycloak', login_url: '/api/v1/auth/oidc/login' } } }))
  await page.goto('/login?next=/usage')
  await expect(page.getByRole('link', { name: '用 Keycloak 登录' })).toHaveAttribute('href', '/api/v1/auth/oidc/login?return_to=%2Fusage')
  await axe(page)
  await page.goto('/login?error=oidc_no_role')
  await expect(page.getByRole('alert')).toContainText('没有给你这里的角色')
  await page.goto('/login?error=oidc_refused&next=%2F%3Fguide%3D1') // 没有进来，要去的地方还在
  await expect(page.getByRole('link', { name: '用 Keycloak 登录' })).toHaveAttribute('href', '/api/v1/auth/oidc/login?return_to=%2F%3Fguide%3D1')
  await portraits(page, 'login-oidc')
  await page.goto('/login?error=nonsense')
  await expect(page.getByRole('alert')).toContainText('nonsense')
})

test('连接没有加密：不能登录，说出怎样打开', async ({ page }) => {
  const detail = 'sign in over TLS: set VEGA_HTTP_TLS_CERT and VEGA_HTTP_TLS_KEY'
  await page.route('**/api/v1/auth/methods', (r) => r.fulfill({ json: { password: true, transport: { ok: false, secure: false, detail } } }))
  await page.goto('/login')
  const said = page.getByRole('alert')
  await expect(said).toContainText('没有加密')
  await expect(said).toContainText('VEGA_INSECURE_HTTP=true')
  await expect(said).toContainText(detail)
  await expect(page.locator(passwordBox)).toBeDisabled()
  await axe(page)
  await fitsPhone(page)
  await portraits(page, 'login-insecure')
})

test('够不着控制面：说出来，能再试', async ({ page, allow }) => {
  allow('ERR_FAILED')
  await page.route('**/api/v1/auth/methods', (r) => r.abort())
  await page.goto('/login')
  await expect(page.getByRole('alert')).toContainText('够不着控制面')
  await page.unroute('**/api/v1/auth/methods')
  await page.getByRole('button', { name: '再试一次' }).click()
  await expect(page.getByRole('alert')).toHaveCount(0)
})

test('登录页：语言与明暗当场换，两种语言、手机宽、axe', async ({ page }) => {
  await opens(page, '/login', page.locator(passwordBox))
  await expect(page.locator(nameBox)).toBeFocused()
  await axe(page)
  await fitsPhone(page, () => axe(page))
  await page.getByRole('button', { name: '语言: English' }).click()
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible()
  await page.getByRole('button', { name: 'Switch to dark' }).click()
  await expect(page.locator('html')).toHaveClass(/dark/)
  await page.reload()
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible()
  await expect(page.locator('html')).toHaveClass(/dark/)
  await page.evaluate(() => localStorage.removeItem('vega.theme'))
  await bothLanguages(page, async () => {
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
    await axe(page)
  })
  await portraits(page, 'login')
})
