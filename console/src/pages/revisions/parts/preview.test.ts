import { mount } from '@vue/test-utils'
import { createPinia } from 'pinia'
import { afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest'
import { nextTick } from 'vue'

import { i18n, setLocale } from '@/locales'

import ImportDrawer from './ImportDrawer.vue'
import RollbackDialog from './RollbackDialog.vue'

interface Asked { what: unknown; prune?: boolean; answer: (r: unknown) => void }
const asked = vi.hoisted(() => [] as Asked[])
const applied = vi.hoisted(() => [] as unknown[])
vi.mock('@/composables/useRevisions', () => ({
  useConfigWrites: () => ({
    previewRollback: (what: number) => new Promise((answer) => asked.push({ what, answer })),
    previewImport: (what: unknown, prune: boolean) => new Promise((answer) => asked.push({ what, prune, answer })),
    restore: async (...all: unknown[]) => { applied.push(all) },
    apply: async (...all: unknown[]) => { applied.push(all); return { keys: [] } },
  }),
}))

const settle = async () => { for (let i = 0; i < 8; i++) await nextTick() }
const created = (name: string) => ({ data: { revision: 7, keys: [], changes: [{ action: 'created', kind: 'app', name, changes: [] }] } })
const button = (text: string) => [...document.querySelectorAll('button')].find((b) => b.textContent?.trim() === text)!
const global = { plugins: [createPinia(), i18n] }

beforeAll(() => setLocale('zh-CN'))
beforeEach(() => { asked.length = 0; applied.length = 0 })
afterEach(() => { document.body.innerHTML = '' })

it('试算答来时已经勾了 prune：那不是要应用的一份，应用不了', async () => {
  const wrapper = mount(ImportDrawer, { props: { modelValue: true }, global })
  await settle()
  const text = document.querySelector('textarea')!
  text.value = '{"apps":[{"name":"a"}]}'
  text.dispatchEvent(new Event('input'))
  await settle()
  button('试算').click()
  await settle()
  expect(asked).toMatchObject([{ prune: false }])
  document.querySelector<HTMLInputElement>('input[type=checkbox]')!.click()
  await settle()
  asked[0]!.answer(created('a'))
  await settle()
  expect(document.querySelector('[data-testid=preview]')).toBeNull()
  expect(button('应用').disabled).toBe(true)
  button('试算').click()
  await settle()
  expect(asked[1]).toMatchObject({ prune: true })
  asked[1]!.answer(created('a'))
  await settle()
  expect(document.querySelector('[data-testid=preview]')).not.toBeNull()
  button('应用').click()
  await settle()
  expect(applied).toMatchObject([[{ text: '{"apps":[{"name":"a"}]}' }, { prune: true }]])
  wrapper.unmount()
})

it('换了一版之后才到的试算不给人看', async () => {
  const wrapper = mount(RollbackDialog, { props: { modelValue: true, revision: 3 }, global })
  await settle()
  await wrapper.setProps({ modelValue: false })
  await wrapper.setProps({ modelValue: true, revision: 4 })
  await settle()
  expect(asked.map((a) => a.what)).toEqual([3, 4])
  asked[1]!.answer(created('of-four'))
  await settle()
  asked[0]!.answer(created('of-three'))
  await settle()
  expect(document.body.textContent).toContain('of-four')
  expect(document.body.textContent).not.toContain('of-three')
  wrapper.unmount()
})
