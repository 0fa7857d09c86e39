import { createPinia, setActivePinia } from 'pinia'
import { nextTick } from 'vue'
import { expect, it } from 'vitest'

import type { Overview } from '@/api/live'

import { needsGuide, stepFrom, stepOf, useGuide } from './useGuide'

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

it('从头走：选定一步是一步；现状里已有的只在没有从头走时略过', () => {
  expect(stepFrom('server', {})).toBe('server')
  expect(stepFrom('server', { server: 'demo' })).toBe('model')
  expect(stepFrom('server', { server: 'demo', app: 'demo-app' })).toBe('model')
  expect(stepFrom('app', {})).toBe('app')
  expect(stepFrom('model', { model: 'm', app: 'a' })).toBe('curl')
  expect(stepFrom('curl', {})).toBe('curl')
})

it('选定的名字重新载入还在，密钥的明文不在；别处删掉了的要重做，重选服务器则模型也重选', async () => {
  sessionStorage.clear()
  setActivePinia(createPinia())
  const guide = useGuide()
  guide.take('server', 'gpu-1')
  guide.take('model', 'chat')
  guide.take('app', 'my-app')
  guide.fresh = { id: 'k', secret: 'vg-secret' }
  await nextTick()
  expect(JSON.stringify(sessionStorage)).not.toContain('vg-secret')
  setActivePinia(createPinia())
  const again = useGuide()
  expect(again.taken).toEqual({ server: 'gpu-1', model: 'chat', app: 'my-app' })
  expect(again.fresh).toBeNull()
  again.keep({ server: ['gpu-1'], model: [], app: ['my-app'] })
  expect(stepFrom('server', again.taken)).toBe('model')
  again.take('model', 'chat')
  again.retake('server')
  expect(again.taken).toEqual({ app: 'my-app' })
  again.finish()
  expect(again.taken).toEqual({})
})
