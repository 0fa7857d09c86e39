import { axe, bothLanguages, expect, fitsPhone, opens, signIn, test } from './support'

// 夹具自己的用例：它看不见问题的话，别的用例过了也说明不了什么。

test('没有声明的问题会被看见，声明过的放过', async ({ page, problems, allow }) => {
  await signIn(page, 'viewer')
  await page.goto('/')
  await page.evaluate(() => {
    console.error('said on purpose')
    setTimeout(() => { throw new Error('thrown on purpose') })
    const s = document.createElement('script')
    s.textContent = 'window.__ran = true'
    document.body.append(s)
  })
  for (const kind of [/^csp: script-src/, /^console error: said on purpose/, /^page error: .*thrown on purpose/]) {
    await expect.poll(() => problems.left().filter((p) => kind.test(p)).length, String(kind)).toBe(1)
  }
  allow('said on purpose', 'thrown on purpose', /^csp: script-src/, 'Content Security Policy')
  expect(problems.left()).toEqual([])
})

test('axe 看得见没有名字的按钮，两种语言都载入', async ({ page }) => {
  await signIn(page, 'viewer')
  await page.goto('/')
  const seen: string[] = []
  await bothLanguages(page, async (locale) => {
    seen.push(locale)
    await page.evaluate(() => document.body.append(document.createElement('button')))
    await expect(axe(page)).rejects.toThrow(/button-name/)
  })
  expect(seen).toEqual(['en', 'zh-CN'])
})

test('量得出一页多久能用，看得见比手机宽的页面', async ({ page }) => {
  await signIn(page, 'viewer')
  expect(await opens(page, '/', page.locator('#app > *').first())).toBeGreaterThan(0)
  await page.evaluate(() => {
    const wide = document.createElement('div')
    wide.style.width = '500px'
    wide.style.height = '1px'
    document.body.append(wide)
  })
  await expect(fitsPhone(page)).rejects.toThrow(/wider than the phone/)
})

test('进程停得下、起得来，负荷打得到三个节点', async ({ control, admin }) => {
  const connected = async () => (await admin.get<{ connected: boolean }[]>('/nodes')).filter((n) => n.connected).length
  expect(await control.load({ requests: 6, concurrency: 2 })).toEqual({ '200': 6 })
  await control.stop('upstream-2')
  await control.kill('dataplane-3')
  await expect.poll(connected).toBe(2)
  await control.reset()
  await expect.poll(connected).toBe(3)
  await control.behave(1, { status: 400 })
  expect(await control.load({ model: 'org/embed' })).toEqual({ '400': 1 })
})

test('会话被别处作废之后，再登录一次', async ({ page, admin }) => {
  await signIn(page, 'operator')
  expect(await admin.endSessions('e2e-operator')).toBeGreaterThan(0)
  expect((await page.context().request.get('/api/v1/session')).status()).toBe(401)
  await signIn(page, 'operator')
  expect((await page.context().request.get('/api/v1/session')).status()).toBe(200)
})

test('一次造得出一万把密钥与五百个服务器，随后还原', async ({ admin, control }) => {
  expect((await admin.manyKeys(10_000)).keys).toHaveLength(10_000)
  await admin.manyServers(500)
  expect(await admin.get<unknown[]>('/servers')).toHaveLength(502)
  await control.reset()
  expect(await admin.get<unknown[]>('/servers')).toHaveLength(2)
})
