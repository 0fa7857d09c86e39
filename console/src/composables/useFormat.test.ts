import { PiniaColada } from '@pinia/colada'
import { flushPromises, mount } from '@vue/test-utils'
import { createPinia } from 'pinia'
import { beforeEach, expect, it, vi } from 'vitest'
import { defineComponent, h } from 'vue'
import { createI18n } from 'vue-i18n'

import { useFormat } from './useFormat'

const about = vi.hoisted(() => ({ value: {} as { time_zone: string; currency: string } }))
vi.mock('@/api/live', () => ({ about: async () => about.value }))

async function formats(locale = 'zh-CN') {
  let f!: ReturnType<typeof useFormat>
  const Probe = defineComponent({ setup() { f = useFormat(); return () => h('i') } })
  mount(Probe, { global: { plugins: [createPinia(), PiniaColada, createI18n({ legacy: false, locale, messages: {} })] } })
  await flushPromises()
  return f
}

beforeEach(() => { about.value = { time_zone: 'Asia/Shanghai', currency: 'CNY' } })

it('不知道不是零', async () => {
  const f = await formats()
  for (const write of [f.integer, f.short, f.rate, f.percent, f.money, f.ms, f.bytes, f.full, f.minute, f.day, f.clock, f.ago]) {
    expect([write(null), write(undefined)]).toEqual(['–', '–'])
  }
  expect([f.integer(0), f.ms(0), f.bytes(0), f.percent(0)]).toEqual(['0', '0.0 ms', '0 B', '0%'])
})

it('时长在进位的地方不写出 1000 ms、60.0 s', async () => {
  const { ms } = await formats()
  expect([9.94, 9.96, 999.4, 999.6, 1530, 9994, 9996, 59_940, 59_960, 125_000].map((v) => ms(v)))
    .toEqual(['9.9 ms', '10 ms', '999 ms', '1.00 s', '1.53 s', '9.99 s', '10.0 s', '59.9 s', '1 m 00 s', '2 m 05 s'])
})

it('差一点不写成全部；字节在进位的地方进位', async () => {
  const { percent, bytes } = await formats()
  expect([percent(1), percent(0.99996), percent(0.999), percent(1.2)]).toEqual(['100%', '99.99%', '99.9%', '120%'])
  expect([bytes(1023), bytes(1024), bytes(1024 * 1024 - 1)]).toEqual(['1023 B', '1.0 KiB', '1.0 MiB'])
})

it('多久以前在进位的地方进位', async () => {
  const { ago } = await formats('en')
  const now = Date.UTC(2026, 0, 1)
  const back = (s: number) => ago(now - s * 1000, now)
  expect([0, 59, 59.6, 3560, 3590, 84_000, 86_000].map(back)).toEqual(['now', '59 sec. ago', '1 min. ago', '59 min. ago', '1 hr. ago', '23 hr. ago', 'yesterday'])
})

it('数与汉字之间隔一格', async () => {
  const { ago } = await formats()
  const now = Date.UTC(2026, 0, 1)
  expect([ago(now - 180_000, now), ago(now + 7_200_000, now), ago(now, now)]).toEqual(['3 分钟前', '2 小时后', '现在'])
})

it('时刻按设置的时区写；浏览器不认得的时区不让页面垮掉', async () => {
  expect((await formats()).clock('2026-01-01T00:00:00Z')).toBe('08:00:00')
  about.value = { time_zone: 'Nowhere/Never', currency: 'USD' }
  const f = await formats()
  expect(f.zone.value).toBeUndefined()
  expect(f.clock('2026-01-01T00:00:00Z')).toMatch(/^\d\d:\d\d:\d\d$/)
})

it('钱按设置的货币写，小的多写几位', async () => {
  const { money } = await formats()
  expect([money(12.5), money(0.00042), money(0)]).toEqual(['¥12.50', '¥0.00042', '¥0.00'])
})
