import { mount } from '@vue/test-utils'
import { expect, it } from 'vitest'
import { createI18n } from 'vue-i18n'

import texts from '@/locales/en/diff.json'

import type { DiffChange } from './change'
import DiffView from './DiffView.vue'

const show = (changes: DiffChange[]) => mount(DiffView, { props: { changes }, global: { plugins: [createI18n({ legacy: false, locale: 'en', messages: { en: texts } })] } })

it('没有变化就说没有', () => {
  expect(show([]).text()).toBe('No changes')
})

it('每个字段从什么到什么，没有的说没有', () => {
  const text = show([{ kind: 'app', name: 'a', action: 'updated', fields: [{ path: 'weight', from: 1, to: 2 }, { path: 'default_server', from: null, to: 'gpu-1' }] }]).text()
  expect(text).toMatch(/weight\s*1\s*→\s*2/)
  expect(text).toMatch(/default_server\s*\(none\)\s*→\s*gpu-1/)
})

it('长的值逐行比较，太长先收着', async () => {
  const list = (n: number) => Array.from({ length: n }, (_, i) => `model-with-a-name-${i}`)
  const view = show([{ kind: 'app', name: 'a', action: 'updated', fields: [{ path: 'models', from: list(20), to: list(21) }] }])
  expect(view.findAll('pre code')).toHaveLength(12)
  await view.find('button').trigger('click')
  expect(view.findAll('pre code.to').map((c) => c.text())).toContain('+  "model-with-a-name-20"')
})

it('很多变化一段一段地画，也找得到；不认识的种类照原样写', async () => {
  const many = Array.from({ length: 250 }, (_, i): DiffChange => ({ kind: 'gadget', name: `g${i}`, action: 'created' }))
  const view = show(many)
  expect(view.findAll('li')).toHaveLength(100)
  expect(view.find('li').text()).toContain('gadget')
  await view.find('input').setValue('g249')
  expect(view.findAll('li')).toHaveLength(1)
})
