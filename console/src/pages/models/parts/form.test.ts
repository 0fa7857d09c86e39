import { expect, it } from 'vitest'

import type { Model } from '@/api/models'

import { emptyForm, formOf, inputOf } from './form'

const stored: Model = {
  name: 'org/embed', version: 1, fallbacks: ['chat'], targets: [{ server: 'a', upstream_model: 'embed', weight: 2, priority: 0 }],
  prices: { input_per_million: 0, cached_input_per_million: 0, output_per_million: 10, currency: 'USD' },
}

it('读来再写回去一样：价格的 0 还是 0', () => {
  expect(inputOf(formOf(stored))).toEqual({ name: stored.name, fallbacks: stored.fallbacks, targets: stored.targets, prices: stored.prices })
})

it('没有定价就没有 prices；只写货币也算写了', () => {
  expect(inputOf(formOf({ ...stored, prices: undefined }))).not.toHaveProperty('prices')
  expect(inputOf({ ...emptyForm(), output: 0 }).prices).toEqual({ output_per_million: 0 })
  expect(inputOf({ ...emptyForm(), currency: ' cny ' }).prices).toEqual({ currency: 'CNY' })
})

it('没有选服务器的目标与空的后备不写', () => {
  const form = { ...emptyForm(), name: ' m ', fallbacks: ['', 'chat'] }
  expect(inputOf(form)).toEqual({ name: 'm', targets: [], fallbacks: ['chat'] })
})
