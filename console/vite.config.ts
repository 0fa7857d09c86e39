import { fileURLToPath, URL } from 'node:url'

import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'

// 开发时把 API 转给本机的控制面；页面与 API 同源，会话的 cookie 才带得上。
const controlplane = process.env.VEGA_ADMIN_URL ?? 'http://127.0.0.1:9080'

export default defineConfig({
  plugins: [vue()],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  server: { proxy: { '/api': { target: controlplane, changeOrigin: false } } },
  build: {
    // CSP 不许 data: 的脚本与字体：一切都成文件。
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2022',
  },
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.ts'],
    setupFiles: ['./vitest.setup.ts'],
  },
})
