import { defineConfig } from '@playwright/test'

// 由 deploy/browser 起好一整套、给出网址再来跑；单独跑没有意义。
const asRoot = process.getuid?.() === 0

export default defineConfig({
  testDir: 'e2e',
  outputDir: 'test-results',
  forbidOnly: true,
  retries: 0,
  // 一整套只有一份，用例会停掉它的进程、换掉它的配置：一次只跑一个。
  workers: 1,
  timeout: 60_000,
  expect: { timeout: 10_000 },
  // 报告的文件由环境变量 PLAYWRIGHT_JSON_OUTPUT_FILE 给出。
  reporter: process.env.PLAYWRIGHT_JSON_OUTPUT_FILE ? [['list'], ['json']] : [['list']],
  use: {
    baseURL: process.env.VEGA_E2E_CONSOLE_URL,
    locale: 'zh-CN',
    timezoneId: 'Asia/Shanghai',
    viewport: { width: 1280, height: 800 },
    colorScheme: 'light',
    contextOptions: { reducedMotion: 'reduce' },
    permissions: ['clipboard-read', 'clipboard-write'],
    trace: 'retain-on-failure',
    screenshot: 'only-on-failure',
    launchOptions: {
      executablePath: process.env.VEGA_E2E_CHROMIUM || '/usr/bin/chromium',
      args: asRoot ? ['--no-sandbox', '--disable-dev-shm-usage'] : ['--disable-dev-shm-usage'],
    },
  },
})
