import { mount } from '@vue/test-utils'
import { createPinia } from 'pinia'
import { beforeAll, expect, it, vi } from 'vitest'
import { nextTick, ref } from 'vue'

import { i18n, setLocale } from '@/locales'

import ExpiryField from './ExpiryField.vue'

vi.mock('@/composables/useAbout', () => ({ useAbout: () => ({ data: ref({ time_zone: 'America/New_York', currency: 'USD' }) }) }))
beforeAll(() => setLocale('zh-CN'))

it('自己挑的一刻按设置里的时区，与下面写出来的是同一刻', async () => {
  const wrapper = mount(ExpiryField, { props: { modelValue: '2026-07-01T04:00:00Z', label: '过期' }, global: { plugins: [createPinia(), i18n] } })
  const input = wrapper.get<HTMLInputElement>('input[type=datetime-local]')
  expect(input.element.value).toBe('2026-07-01T00:00')
  await input.setValue('2026-12-24T18:30')
  await input.trigger('change')
  expect(wrapper.emitted('update:modelValue')).toEqual([['2026-12-24T23:30:00.000Z']])
  await wrapper.setProps({ modelValue: '2026-12-24T23:30:00.000Z' })
  await nextTick()
  expect(wrapper.text()).toContain('18:30')
})
