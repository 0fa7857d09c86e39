import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { effectScope } from 'vue'

import type { Handlers, Topic } from '@/api/events'

import { useLive, useLiveStore } from './useLive'

interface Opened { topics: Topic[]; handlers: Handlers; signal: AbortSignal; over: () => void }

const opened = vi.hoisted(() => [] as Opened[])
vi.mock('@/api/events', () => ({
  openEvents: (topics: Topic[], handlers: Handlers, signal: AbortSignal) => new Promise<void>((over) => opened.push({ topics, handlers, signal, over })),
}))

beforeEach(() => {
  vi.useFakeTimers()
  opened.length = 0
  setActivePinia(createPinia())
})
afterEach(() => vi.useRealTimers())

const settle = () => vi.advanceTimersByTimeAsync(50)
const fleet = (head: number) => ({ head_revision: head, nodes: [] })

/** uses 如同一个挂着的组件；stop 是卸下。 */
function uses(...topics: Topic[]) {
  const scope = effectScope()
  const lives = scope.run(() => topics.map((t) => useLive(t)))!
  return { lives, stop: () => scope.stop() }
}

it('几个组件要的合成一条流；头一份来到之前没有值', async () => {
  const a = uses('fleet', 'revision')
  uses('fleet')
  await settle()
  expect(opened.map((o) => o.topics)).toEqual([['fleet', 'revision']])
  expect([a.lives[0]!.value.value, a.lives[0]!.state.value]).toEqual([undefined, 'connecting'])
  opened[0]!.handlers.alive()
  opened[0]!.handlers.event('fleet', fleet(3))
  expect([a.lives[0]!.value.value, a.lives[0]!.state.value]).toEqual([fleet(3), 'live'])
})

it('换页前后要的一样：流接着用，数不闪', async () => {
  const shell = uses('revision')
  const before = uses('fleet')
  await settle()
  opened[0]!.handlers.event('fleet', fleet(3))
  before.stop()
  const after = uses('fleet')
  expect(after.lives[0]!.value.value).toEqual(fleet(3))
  await settle()
  expect(opened).toHaveLength(1)
  expect(opened[0]!.signal.aborted).toBe(false)
  shell.stop()
})

it('没有人再要的主题不再听，旧的数也不留；迟到的事件不算', async () => {
  uses('revision')
  const page = uses('queues')
  await settle()
  opened[0]!.handlers.event('queues', [])
  page.stop()
  await settle()
  expect(opened[0]!.signal.aborted).toBe(true)
  expect(opened[1]!.topics).toEqual(['revision'])
  opened[0]!.handlers.event('queues', [])
  expect(useLiveStore().values.queues).toBeUndefined()
})

it('断了是 stale，停在最后一次听到的时刻；又听到就好了', async () => {
  vi.setSystemTime(new Date('2026-01-01T00:00:00Z'))
  const { lives } = uses('fleet')
  await settle()
  opened[0]!.handlers.down()
  expect(lives[0]!.state.value).toBe('connecting')
  opened[0]!.handlers.alive()
  const heard = lives[0]!.lastAlive.value
  await vi.advanceTimersByTimeAsync(60_000)
  opened[0]!.handlers.down()
  expect([lives[0]!.state.value, lives[0]!.lastAlive.value]).toEqual(['stale', heard])
  opened[0]!.handlers.alive()
  expect(lives[0]!.state.value).toBe('live')
})

it('会话没有了、流自己结束了：再登录进来时从头听，不拿上次的时刻说断了', async () => {
  const shell = uses('fleet')
  await settle()
  opened[0]!.handlers.alive()
  opened[0]!.over()
  await settle()
  shell.stop()
  await settle()
  const again = uses('fleet')
  await settle()
  expect(opened).toHaveLength(2)
  opened[1]!.handlers.down()
  expect([again.lives[0]!.state.value, again.lives[0]!.lastAlive.value]).toEqual(['connecting', null])
})

it('流结束之后又有人要同样的主题：重新连', async () => {
  const shell = uses('fleet')
  await settle()
  opened[0]!.over()
  await settle()
  shell.stop()
  uses('fleet')
  await settle()
  expect(opened).toHaveLength(2)
})

it('控制面算不出的主题是旧的，别的照样是此刻的；恢复、断了再连都从头说', async () => {
  vi.setSystemTime(new Date('2026-11-23T10:00:00Z'))
  const a = uses('fleet', 'overview')
  const store = useLiveStore()
  await settle()
  opened[0]!.handlers.alive()
  const states = () => a.lives.map((l) => l.state.value)
  opened[0]!.handlers.frozen(['overview'])
  const since = store.frozenSince
  expect(states()).toEqual(['live', 'stale'])
  expect([a.lives[1]!.frozen.value, a.lives[0]!.frozen.value]).toEqual([true, false])
  await vi.advanceTimersByTimeAsync(10_000)
  opened[0]!.handlers.frozen(['fleet', 'overview'])
  expect(states()).toEqual(['stale', 'stale'])
  expect(store.frozenSince).toEqual(since)
  opened[0]!.handlers.frozen([])
  expect(states()).toEqual(['live', 'live'])
  expect(store.frozenSince).toBeNull()
  opened[0]!.handlers.frozen(['fleet'])
  opened[0]!.handlers.down()
  opened[0]!.handlers.alive()
  expect(states()).toEqual(['live', 'live'])
  a.stop()
})

it('换页之后只留还在听的停住的主题', async () => {
  const shell = uses('fleet')
  const page = uses('queues')
  await settle()
  opened[0]!.handlers.alive()
  opened[0]!.handlers.frozen(['queues'])
  page.stop()
  await settle()
  expect(useLiveStore().frozen).toEqual([])
  shell.stop()
})
