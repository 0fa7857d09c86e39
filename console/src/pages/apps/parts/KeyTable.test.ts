import { mount } from '@vue/test-utils'
import { createPinia } from 'pinia'
import { beforeAll, expect, it, vi } from 'vitest'
import { nextTick, ref } from 'vue'

import type { Key } from '@/api/keys'
import { i18n, setLocale } from '@/locales'

import KeyTable from './KeyTable.vue'

vi.mock('@/composables/useAbout', () => ({ useAbout: () => ({ data: ref({ time_zone: 'UTC', currency: 'USD' }) }) }))
beforeAll(() => setLocale('zh-CN'))

const keys = (n: number) => Array.from({ length: n }, (_, i) => ({ id: String(i), name: `k-${String(i).padStart(2, '0')}`, hint: '', created_at: '2026-11-01T00:00:00Z', expires_at: null }) as unknown as Key)

it('末页的最后一把撤销了：退到还有的那一页，不留一张空表', async () => {
  const wrapper = mount(KeyTable, { props: { keys: keys(51), can: false }, global: { plugins: [createPinia(), i18n] } })
  await wrapper.get('.el-pager .number:last-child').trigger('click')
  expect(wrapper.findAll('tbody tr').map((r) => r.text())).toEqual([expect.stringContaining('k-50')])
  await wrapper.setProps({ keys: keys(50) })
  await nextTick()
  expect(wrapper.findAll('tbody tr')).toHaveLength(50)
})
