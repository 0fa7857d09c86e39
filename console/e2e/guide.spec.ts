import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

import { axe, bothLanguages, expect, fitsPhone, portraits, signIn, test, upstreamURLs } from './support'

import type { Admin } from './support'
import type { Page } from '@playwright/test'

const run = promisify(execFile)

const empty = (admin: Admin) => admin.call('PUT', '/config?prune=true&wait=true', { servers: [], models: [], apps: [] })
const guide = (page: Page) => page.getByRole('region', { name: '四步走到第一个请求' })
const here = (page: Page) => guide(page).locator('li[aria-current=step]')
const line = (page: Page) => here(page).locator('pre')

async function addServer(page: Page) {
  await here(page).getByLabel('地址').fill(upstreamURLs()[0]!)
  await here(page).getByRole('button', { name: '试连并添加' }).click()
  await expect(here(page).getByRole('heading')).toHaveText('模型')
}
async function addModel(page: Page) {
  await here(page).getByRole('button', { name: '添加模型' }).click()
  await expect(here(page).getByRole('heading')).toHaveText('应用与密钥')
}
async function addApp(page: Page) {
  await here(page).getByRole('button', { name: '创建并要一把密钥' }).click()
  await expect(line(page)).toContainText('Authorization: Bearer vg-')
}

test('从空的安装走到一条通的命令行：真的运行它，引导看见了它', async ({ page, admin }) => {
  await empty(admin)
  await signIn(page, 'operator')
  const began = performance.now()
  await page.goto('/')
  await expect(here(page).getByRole('heading')).toHaveText('后端服务器')
  await axe(page)
  await fitsPhone(page)
  await addServer(page)
  expect((await admin.get<{ base_url: string; limits: { max_concurrency: number } }[]>('/servers'))[0]).toMatchObject({ name: 'gpu-1', base_url: upstreamURLs()[0], limits: { max_concurrency: 8 } })
  await expect(page.getByText(/3 个节点中 3 个已应用/).first()).toBeVisible()
  await expect(here(page).getByLabel('客户端用的名字')).toHaveValue('gpt-4o')
  await axe(page)
  await addModel(page)
  await addApp(page)
  await axe(page)
  await fitsPhone(page)
  const text = (await line(page).textContent())!
  await expect(here(page).getByText('在等第一个请求来到…')).toBeVisible()

  await expect.poll(async () => (await admin.get<{ applied_revision: number }[]>('/nodes')).map((n) => n.applied_revision).sort()[0]).toBeGreaterThan(0)
  const { stdout } = await run('sh', ['-c', `${text} -sS --fail-with-body`])
  expect(JSON.parse(stdout)).toMatchObject({ object: 'chat.completion', model: 'gpt-4o' })
  await expect(here(page).getByText(/^收到了：200，来自 gpu-1，[\d.]+ m?s$/)).toBeVisible({ timeout: 20_000 })
  console.log(`figures: console guide_to_first_request_ms=${Math.round(performance.now() - began)}`)
  await axe(page)
  await here(page).getByRole('button', { name: '看这个请求的经过' }).click()
  await expect(page).toHaveURL(/\/requests\/[\w-]+$/)
  await page.goto('/')
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
  await expect(guide(page)).toHaveCount(0)
})

test('半路刷新接着走：做过的不再问，上游的模型重新列出来；明文没有了就再要一把', async ({ page, admin }) => {
  await empty(admin)
  await signIn(page, 'operator')
  await page.goto('/')
  await addServer(page)
  await page.reload()
  await expect(here(page).getByRole('heading')).toHaveText('模型')
  await expect(here(page).getByLabel('客户端用的名字')).toHaveValue('gpt-4o')
  await here(page).getByLabel('客户端用的名字').fill('my/model')
  await addModel(page)
  await page.reload()
  await expect(here(page).getByRole('heading')).toHaveText('应用与密钥')
  await addApp(page)
  await expect(line(page)).toContainText('my/model')
  await page.goto('/?guide=1')
  await expect(here(page).getByText('明文只给一次')).toBeVisible()
  await axe(page)
  await here(page).getByRole('button', { name: '再要一把密钥' }).click()
  await expect(line(page)).toContainText('Authorization: Bearer vg-')
  await expect(line(page)).toContainText('my/model')
  expect(await admin.get<unknown[]>('/apps/my-app/keys')).toHaveLength(2)
})

test('连不上的服务器说得出原话，也可以先加上；名字不合规矩写在字段下面', async ({ page, admin, allow }) => {
  allow('status of 400')
  await empty(admin)
  await signIn(page, 'operator')
  await page.goto('/')
  await here(page).getByLabel('地址').fill('http://127.0.0.1:9/v1')
  await here(page).getByRole('button', { name: '试连', exact: true }).click()
  const said = here(page).getByRole('alert')
  await expect(said).toContainText('没有连上')
  await expect(said).toContainText('127.0.0.1:9')
  await axe(page)
  await here(page).getByLabel('名字').fill('Bad Name')
  await here(page).getByRole('button', { name: '试连并添加' }).click()
  await expect(here(page).locator('.el-form-item__error')).toBeVisible()
  await here(page).getByLabel('名字').fill('later')
  await here(page).getByRole('button', { name: '试连并添加' }).click()
  await here(page).getByRole('button', { name: '仍然添加' }).click()
  await expect(here(page).getByRole('heading')).toHaveText('模型')
  expect((await admin.get<{ name: string }[]>('/servers')).map((s) => s.name)).toEqual(['later'])
  await expect(here(page).getByText('列不出上游的模型')).toBeVisible()
  await here(page).getByRole('textbox', { name: '上游的模型名' }).fill('some-model')
  await addModel(page)
  expect((await admin.get<{ name: string }[]>('/models')).map((m) => m.name)).toEqual(['some-model'])
})

test('没有终端：把密钥带到试一试里发第一句', async ({ page, admin }) => {
  await empty(admin)
  await signIn(page, 'operator')
  await page.goto('/')
  await addServer(page)
  await addModel(page)
  await addApp(page)
  await here(page).getByRole('button', { name: '没有终端？在浏览器里发' }).click()
  await expect(page).toHaveURL(/\/playground\?model=gpt-4o/)
  await page.getByRole('textbox', { name: '说点什么' }).fill('你好')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('log').getByRole('article')).toHaveCount(2)
  await expect(page.locator('dl div', { hasText: '状态' }).locator('dd')).toHaveText('200')
  await page.getByRole('link', { name: '总览' }).click()
  await expect(here(page).getByText(/^收到了：200/)).toBeVisible({ timeout: 20_000 })
  await here(page).getByRole('button', { name: '去看总览' }).click()
  await expect(guide(page)).toHaveCount(0)
})

test('只读的人看得到缺什么，做不了；两种语言', async ({ page, admin }) => {
  await empty(admin)
  await signIn(page, 'viewer')
  await page.goto('/')
  await expect(guide(page)).toContainText('请运维或管理员')
  await expect(guide(page).getByRole('textbox')).toHaveCount(0)
  await axe(page)
  await bothLanguages(page, async (locale) => {
    await expect(page.getByRole('region', { name: locale === 'en' ? 'Four steps to the first request' : '四步走到第一个请求' })).toBeVisible()
  })
  await signIn(page, 'operator')
  await page.goto('/')
  await expect(here(page)).toBeVisible()
  test.slow()
  await portraits(page, 'guide-1')
})

test('配齐了、有过请求就不露面；?guide=1 叫得出来，收得回去', async ({ page, control }) => {
  expect(await control.load({ requests: 1 })).toEqual({ '200': 1 })
  await signIn(page, 'operator')
  await expect.poll(async () => {
    await page.goto('/')
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
    return guide(page).count()
  }, { timeout: 20_000 }).toBe(0)
  await page.goto('/?guide=1')
  await expect(here(page).getByRole('heading')).toHaveText('第一个请求')
  await portraits(page, 'guide-4')
  await page.goto('/?guide=1')
  await guide(page).getByRole('button', { name: '收起引导' }).click()
  await expect(guide(page)).toHaveCount(0)
})
