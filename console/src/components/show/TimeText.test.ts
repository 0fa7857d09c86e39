import { PiniaColada } from '@pinia/colada'
import { flushPromises, mount } from '@vue/test-utils'
import { createPinia } from 'pinia'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { createI18n } from 'vue-i18n'

import TimeText from './TimeText.vue'

vi.mock('@/api/live', () => ({ about: async () => ({ time_zone: 'UTC', currency: 'USD' }) }))
const start = Date.UTC(2026, 0, 1)
beforeEach(() => { vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] }); vi.setSystemTime(start) })
afterEach(() => vi.useRealTimers())

async function text(at: string) {
  const wrapper = mount(TimeText, { props: { at }, global: { plugins: [createPinia(), PiniaColada, createI18n({ legacy: false, locale: 'zh-CN', messages: {} })] } })
  await flushPromises()
  return wrapper.text()
}
const after = (seconds: number) => new Date(start + seconds * 1000).toISOString()

it('刚发生的不说成几秒以后：服务器的钟快一点也一样', async () => {
  expect([await text(after(3)), await text(after(15)), await text(after(0))]).toEqual(['现在', '现在', '现在'])
})

it('真在以后的照说，过去的也照说', async () => {
  expect([await text(after(40)), await text(after(7200)), await text(after(-20))]).toEqual(['40 秒后', '2 小时后', '20 秒前'])
})
