import type { Page } from '@playwright/test'

/** Problems 收集页面上不该有的：控制台的错误与警告、没有接住的异常、CSP 违例、5xx。 */
export class Problems {
  private seen: string[] = []
  private allowed: (string | RegExp)[] = []

  /** allow 说这个用例里会有这样的问题；字符串是其中的一段。 */
  allow = (...what: (string | RegExp)[]): void => void this.allowed.push(...what)

  async watch(page: Page): Promise<void> {
    page.on('console', (m) => {
      if (m.type() === 'error' || m.type() === 'warning') this.seen.push(`console ${m.type()}: ${m.text()} (${m.location().url})`)
    })
    page.on('pageerror', (e) => this.seen.push(`page error: ${e.stack ?? e.message}`))
    page.on('response', (r) => {
      if (r.status() >= 500) this.seen.push(`response ${r.status()}: ${r.request().method()} ${r.url()}`)
    })
    await page.exposeFunction('__vegaViolation', (text: string) => this.seen.push(`csp: ${text}`))
    await page.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (e) => {
        const report = (window as unknown as { __vegaViolation: (text: string) => void }).__vegaViolation
        report(`${e.effectiveDirective} blocked ${e.blockedURI} (${e.sourceFile}:${e.lineNumber})`)
      })
    })
  }

  /** all 是全部，left 是没有声明过的。 */
  all = (): readonly string[] => this.seen

  left(): string[] {
    return this.seen.filter((s) => !this.allowed.some((a) => (typeof a === 'string' ? s.includes(a) : a.test(s))))
  }
}
