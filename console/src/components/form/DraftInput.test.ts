import { mount } from '@vue/test-utils'
import { ElInput } from 'element-plus'
import { expect, it } from 'vitest'
import { nextTick } from 'vue'

import DraftInput from './DraftInput.vue'

it('边写边留着，写完才说；值从外面变了就跟着变', async () => {
  const w = mount(DraftInput, { props: { value: 'a' }, attrs: { 'aria-label': 'search' } })
  const input = w.get('input')
  expect(input.attributes('aria-label')).toBe('search')
  input.element.value = 'ab'
  await input.trigger('input')
  await nextTick()
  expect(input.element.value).toBe('ab')
  expect(w.emitted('settle')).toBeUndefined()
  w.findComponent(ElInput).vm.$emit('change', 'ab')
  expect(w.emitted('settle')).toEqual([['ab']])
  await w.setProps({ value: 'z' })
  expect(input.element.value).toBe('z')
})
