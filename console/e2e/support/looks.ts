import AxeBuilder from '@axe-core/playwright'
import { expect, test, type Locator, type Page } from '@playwright/test'

/** axe 在明暗两套颜色里各查一遍这一页现在的样子，一处违例也不许。换颜色不重新载入，打开着的抽屉也查得到。 */
export async function axe(page: Page): Promise<void> {
  for (const scheme of ['light', 'dark'] as const) {
    await inTheme(page, scheme)
    const { violations } = await new AxeBuilder({ page }).setLegacyMode(true).analyze()
    const text = violations.map((v) => `${v.id} (${v.impact}): ${v.help}\n${v.nodes.map((n) => `  ${n.target.join(' ')}\n    ${n.failureSummary}`).join('\n')}`)
    expect(text, `axe, ${scheme}`).toEqual([])
  }
  await inTheme(page, 'light')
  // 报告里留下查过哪一页：漏掉的页由读报告的人找出来。
  test.info().annotations.push({ type: 'axe', description: new URL(page.url()).pathname })
}

/** inTheme 换颜色，等颜色的过渡走完：过渡中的颜色谁的对比度也不是。 */
async function inTheme(page: Page, scheme: 'light' | 'dark'): Promise<void> {
  await page.emulateMedia({ colorScheme: scheme })
  await expect(page.locator('html')).toHaveClass(scheme === 'dark' ? /\bdark\b/ : /^(?!.*\bdark\b)/)
  await page.evaluate(() => document.getAnimations().forEach((a) => a.effect?.getTiming().iterations === Infinity || a.finish()))
}

/** bothLanguages 以两种语言各载入一遍这一页，各做一遍 look；做完回到中文。 */
export async function bothLanguages(page: Page, look: (locale: 'zh-CN' | 'en') => Promise<void>): Promise<void> {
  for (const locale of ['en', 'zh-CN'] as const) {
    await page.evaluate((l) => localStorage.setItem('vega.locale', l), locale)
    await page.reload()
    await expect(page.locator('html')).toHaveAttribute('lang', locale)
    await look(locale)
  }
}

/** fitsPhone 在手机的宽度上做一遍 look，页面不许横着滚；做完回到原来的大小。 */
export async function fitsPhone(page: Page, look: () => Promise<void> = async () => {}): Promise<void> {
  const size = page.viewportSize()
  await page.setViewportSize({ width: 390, height: 844 })
  await expect.poll(() => page.evaluate(() => document.documentElement.scrollWidth), { message: 'the page is wider than the phone', timeout: 3_000 }).toBeLessThanOrEqual(390)
  await look()
  if (size) await page.setViewportSize(size)
}

/** opens 打开一页，等到 ready 看得见；离谱的慢算失败。多快由 weight.spec 准确地量。 */
export async function opens(page: Page, path: string, ready: Locator): Promise<number> {
  const began = performance.now()
  await page.goto(path, { waitUntil: 'commit' })
  await ready.waitFor()
  const took = Math.round(performance.now() - began)
  expect(took, `${path} took ${took} ms`).toBeLessThan(8_000)
  return took
}

/** portraits 给这一页照相，供人看：VEGA_E2E_SHOTS 是放照片的目录，没有给就什么也不做。两种语言各照明、暗与手机宽。 */
export async function portraits(page: Page, name: string): Promise<void> {
  const dir = process.env.VEGA_E2E_SHOTS
  const size = page.viewportSize()
  if (!dir || !size) return
  await bothLanguages(page, async (locale) => {
    await page.waitForLoadState('load')
    for (const scheme of ['light', 'dark'] as const) {
      await inTheme(page, scheme)
      await page.screenshot({ path: `${dir}/${name}-${locale}-${scheme}.png`, fullPage: true })
    }
    await page.setViewportSize({ width: 390, height: 844 })
    await page.screenshot({ path: `${dir}/${name}-${locale}-phone.png`, fullPage: true })
    await page.setViewportSize(size)
    await inTheme(page, 'light')
  })
}
