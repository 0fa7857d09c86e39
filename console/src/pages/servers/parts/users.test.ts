import { expect, it } from 'vitest'

import type { Model } from '@/api/models'

import { usersOf } from './users'

it('层从 1 数起，份额只在自己那一层里算', () => {
  const models = [
    { name: 'chat', targets: [{ server: 'a', weight: 3, priority: 10, upstream_model: 'x' }, { server: 'b', weight: 1, priority: 10 }, { server: 'a', weight: 1, priority: 5 }] },
    { name: 'other', targets: [{ server: 'b' }] },
    { name: 'off', targets: [{ server: 'a', weight: 0 }] },
  ] as Model[]
  expect(usersOf('a', models)).toEqual([
    { model: 'chat', upstream_model: 'x', tier: 2, share: 0.75 },
    { model: 'chat', upstream_model: 'chat', tier: 1, share: 1 },
    { model: 'off', upstream_model: 'off', tier: 1, share: 0 },
  ])
})
