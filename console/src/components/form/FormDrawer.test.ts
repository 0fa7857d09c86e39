import { mount } from '@vue/test-utils'
import { createPinia } from 'pinia'
import { afterEach, expect, it, vi } from 'vitest'
import { createI18n } from 'vue-i18n'

import common from '@/locales/zh-CN/common.json'

import FormDrawer from './FormDrawer.vue'

afterEach(() => { document.body.innerHTML = '' })

function drawer(props: { busy: boolean; dirty?: boolean }) {
  const wrapper = mount(FormDrawer, {
    props: { modelValue: true, title: '编辑', ...props },
    global: { plugins: [createPinia(), createI18n({ legacy: false, locale: 'zh-CN', messages: { 'zh-CN': { ...common } } })] },
  })
  const cancel = () => [...document.querySelectorAll('button')].find((b) => b.textContent === '取消')!
  const leave = wrapper.findComponent({ name: 'ElDrawer' }).props('beforeClose') as (done: () => void) => void
  return { wrapper, cancel, leave }
}

it('正在存的时候关不掉：取消按不下，Esc 与旁边也不算', () => {
  const { wrapper, cancel, leave } = drawer({ busy: true })
  const done = vi.fn()
  leave(done)
  expect(done).not.toHaveBeenCalled()
  expect(cancel().disabled).toBe(true)
  cancel().click()
  expect(wrapper.emitted('update:modelValue')).toBeUndefined()
})

it('没有在存、没有改过的，一按就关', () => {
  const { wrapper, cancel } = drawer({ busy: false })
  cancel().click()
  expect(wrapper.emitted('update:modelValue')).toEqual([[false]])
})
