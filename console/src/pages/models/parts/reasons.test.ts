import { expect, it } from 'vitest'

import { reasonOf } from './reasons'

it('认得 API 的每一句缘由，认不出的不硬认', () => {
  expect(reasonOf('all 2 requests in flight are taken')).toEqual({ key: 'concurrency', params: { limit: '2' } })
  expect(reasonOf('ejected by every connected node: 5 failures in a row')).toEqual({ key: 'ejected', params: { why: '5 failures in a row' } })
  expect(reasonOf('ejected by every connected node, but used all the same: it is the last usable target of the model')).toEqual({ key: 'lastOne', params: {} })
  expect(reasonOf('ejected by 1 of 3 connected nodes')).toEqual({ key: 'someNodes', params: { count: '1', nodes: '3' } })
  expect(reasonOf('something new')).toBeNull()
})
