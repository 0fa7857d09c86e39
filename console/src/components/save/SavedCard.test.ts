import { mount } from '@vue/test-utils'
import { createPinia } from 'pinia'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { createI18n } from 'vue-i18n'

import type { Node } from '@/api/live'
import { useLiveStore } from '@/composables/useLive'
import type { Saved } from '@/composables/useSaved'
import common from '@/locales/zh-CN/common.json'
import saved from '@/locales/zh-CN/saved.json'

import SavedCard from './SavedCard.vue'

vi.mock('@/api/events', () => ({ openEvents: () => new Promise(() => {}) }))
beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

const node = (id: string, applied: number, more: Partial<Node> = {}) => ({ id, connected: true, applied_revision: applied, last_error: '', ...more }) as Node

function card(props: Partial<Saved> = {}) {
  const pinia = createPinia()
  const wrapper = mount(SavedCard, {
    props: { card: { id: 1, text: '存好了 gpu-1', revision: 7, ...props } },
    global: { plugins: [pinia, createI18n({ legacy: false, locale: 'zh-CN', messages: { 'zh-CN': { ...common, ...saved } } })] },
  })
  const live = useLiveStore(pinia)
  const nodes = async (...all: Node[]) => {
    Object.assign(live.values, { fleet: { head_revision: 7, nodes: all } })
    await wrapper.vm.$nextTick()
  }
  return { wrapper, nodes, gone: () => wrapper.emitted('gone')?.length ?? 0 }
}

it('跟着这一版到每个节点，都到了再停一会儿才收走', async () => {
  const { wrapper, nodes, gone } = card()
  expect(wrapper.text()).toContain('已存为版本 7')
  await nodes(node('a', 7), node('b', 6), node('c', 6))
  expect(wrapper.text()).toContain('版本 7：3 个节点中 1 个已应用')
  await vi.advanceTimersByTimeAsync(60_000)
  expect(gone()).toBe(0)
  await nodes(node('a', 7), node('b', 7), node('c', 8))
  expect(wrapper.text()).toContain('3 个节点中 3 个已应用')
  await vi.advanceTimersByTimeAsync(3_999)
  expect(gone()).toBe(0)
  await vi.advanceTimersByTimeAsync(1)
  expect(gone()).toBe(1)
})

it('有节点拒绝：说谁与为什么，留着等人看', async () => {
  const { wrapper, nodes, gone } = card()
  await nodes(node('a', 7), node('b', 6, { rejected_revision: 7, last_error: 'proxy_url: cannot parse' }))
  expect(wrapper.text()).toContain('b 拒绝了这一版： proxy_url: cannot parse')
  await vi.advanceTimersByTimeAsync(60_000)
  expect(gone()).toBe(0)
  await wrapper.get('button[aria-label="关闭"]').trigger('click')
  expect(gone()).toBe(1)
})

it('没有动配置的不等节点；一个节点也没有时说得明白', async () => {
  const quiet = card({ revision: 0 })
  await vi.advanceTimersByTimeAsync(4_000)
  expect(quiet.gone()).toBe(1)
  const alone = card()
  await alone.nodes(node('a', 1, { connected: false }))
  expect(alone.wrapper.text()).toContain('此刻没有连着的节点')
})

it('可撤销的停得久些；正在撤销时不自己收走，失败了还能再按', async () => {
  let fail!: (e: Error) => void
  const undo = vi.fn(() => new Promise<void>((_, no) => { fail = no }))
  const { wrapper, nodes, gone } = card({ undo })
  await nodes(node('a', 7))
  await vi.advanceTimersByTimeAsync(7_000)
  const button = wrapper.findAll('button').find((b) => b.text() === '撤销')!
  await button.trigger('click')
  await vi.advanceTimersByTimeAsync(30_000)
  expect(gone()).toBe(0)
  fail(new Error('late'))
  await vi.advanceTimersByTimeAsync(0)
  expect(gone()).toBe(0)
  await button.trigger('click')
  expect(undo).toHaveBeenCalledTimes(2)
})

it('人正指着、或焦点在里面，就不收走', async () => {
  const { wrapper, nodes, gone } = card()
  await nodes(node('a', 7))
  await wrapper.get('.card').trigger('mouseenter')
  await vi.advanceTimersByTimeAsync(60_000)
  expect(gone()).toBe(0)
  await wrapper.get('.card').trigger('mouseleave')
  await vi.advanceTimersByTimeAsync(4_000)
  expect(gone()).toBe(1)
})
