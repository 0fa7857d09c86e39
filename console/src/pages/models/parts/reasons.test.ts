import { expect, it } from 'vitest'

import { reasonOf, verdictOf } from './reasons'

it('认得 API 的每一句缘由，认不出的不硬认', () => {
  expect(reasonOf('all 2 requests in flight are taken')).toEqual({ key: 'concurrency', params: { limit: '2' } })
  expect(reasonOf('ejected by every connected node: 5 failures in a row')).toEqual({ key: 'ejected', params: { why: '5 failures in a row' } })
  expect(reasonOf('ejected by every connected node, but used all the same: it is the last usable target of the model')).toEqual({ key: 'lastOne', params: {} })
  expect(reasonOf('ejected by 1 of 3 connected nodes')).toEqual({ key: 'someNodes', params: { count: '1', nodes: '3' } })
  expect(reasonOf('something new')).toBeNull()
})

it('裁决拆成几句：走了后备、自己的限额、还不知道的事', () => {
  const keys = (detail: string) => verdictOf(detail)?.map((r) => r.key)
  expect(verdictOf('starts at once in tier 0 on gpu-1 or gpu-2')).toEqual([{ key: 'starts', params: { servers: 'gpu-1 or gpu-2' } }])
  expect(keys('no target of "a" can serve, so the fallback "b" is used: no target can start a request now; it waits for gpu-2')).toEqual(['fallback', 'waitsFor'])
  expect(keys('the app is at its own limit: all 2 requests in flight are taken')).toEqual(['ownLimit', 'concurrency'])
  expect(keys('every target is disabled or ejected; limits, queues and pauses are not known: no replica leads admission at this moment; no node is connected that could serve it')).toEqual(['noneLeft', 'noLeader', 'noNodes'])
  expect(verdictOf('something new; no node is connected that could serve it')).toBeNull()
})
