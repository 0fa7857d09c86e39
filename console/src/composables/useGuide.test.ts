import { expect, it } from 'vitest'

import type { Overview } from '@/api/live'

import { needsGuide, stepOf } from './useGuide'

const overview = (counts: Partial<Overview['counts']>) => ({ counts: { servers: 1, models: 1, apps: 1, keys: 1, requests_ever: true, ...counts } }) as Overview

it('少一样就要引导，哪怕从前有过请求；都有了、也有过请求就不要', () => {
  expect(needsGuide(overview({}))).toBe(false)
  for (const lack of ['servers', 'models', 'apps', 'keys'] as const) expect(needsGuide(overview({ [lack]: 0 })), lack).toBe(true)
  expect(needsGuide(overview({ requests_ever: false }))).toBe(true)
})

it('从头一个还没有的接着走', () => {
  expect(stepOf(overview({ servers: 0, models: 0, apps: 0 }))).toBe('server')
  expect(stepOf(overview({ models: 0, apps: 0 }))).toBe('model')
  expect(stepOf(overview({ apps: 0, keys: 0 }))).toBe('app')
  expect(stepOf(overview({ keys: 0 }))).toBe('app')
  expect(stepOf(overview({ requests_ever: false }))).toBe('curl')
})
