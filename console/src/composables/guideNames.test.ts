import { expect, it } from 'vitest'

import { chatFirst, freeName } from './guideNames'

it('名字占了就给一个空着的', () => {
  expect(freeName('gpu-1', [])).toBe('gpu-1')
  expect(freeName('gpu-1', ['gpu-1', 'gpu-1-2', 'gpu-1-4'])).toBe('gpu-1-3')
  expect(freeName('org/model', ['org/model'])).toBe('org/model-2')
  expect(freeName('', [''])).toBe('')
})

it('建议一个像能对话的模型', () => {
  expect(chatFirst(['babbage-002', 'text-embedding-3-small', 'gpt-4o', 'gpt-4o-mini'])).toBe('gpt-4o')
  expect(chatFirst(['BAAI/bge-m3', 'whisper-1'])).toBe('BAAI/bge-m3')
  expect(chatFirst([])).toBe('')
})
