import { expect, it } from 'vitest'

import type { Model } from '@/api/models'

import { arranged, modelsOf, type Row } from './rows'

const row = (name: string, kind: string, inFlight: number, limit: number) =>
  ({ server: { name, base_url: `http://${name}.Local/v1`, limits: { max_concurrency: limit } }, state: { kind, queue: { in_flight: inFlight, waiting: 0 } }, rates: null, models: 0 }) as unknown as Row
const names = (rows: Row[]) => rows.map((r) => r.server.name)
const rows = () => [row('b', 'ok', 1, 10), row('a', 'ejected', 0, 2), row('c', 'ok', 2, 2), row('d', 'disabled', 90, 0)]

it('按名字、健康与负载排序，不限的不算满', () => {
  expect(names(arranged(rows(), '', '', 'name'))).toEqual(['a', 'b', 'c', 'd'])
  expect(names(arranged(rows(), '', '', 'state'))).toEqual(['a', 'b', 'c', 'd'])
  expect(names(arranged(rows(), '', '', '-load'))).toEqual(['c', 'b', 'd', 'a'])
  expect(names(arranged(rows(), '', '', 'nonsense'))).toEqual(['a', 'b', 'c', 'd'])
})

it('按名字或地址找，不论大小写；按健康过滤', () => {
  expect(names(arranged(rows(), ' C.LOCAL ', '', 'name'))).toEqual(['c'])
  expect(names(arranged(rows(), '', 'ok', '-name'))).toEqual(['c', 'b'])
})

it('一个模型有几个目标在同一个服务器上，只算一次', () => {
  const counts = modelsOf([{ name: 'm', targets: [{ server: 'a' }, { server: 'a' }, { server: 'b' }] }, { name: 'n', targets: [{ server: 'a' }] }] as Model[])
  expect([...counts]).toEqual([['a', 2], ['b', 1]])
})
