import { expect, it } from 'vitest'

import { fromURL, toURL, usual } from './query'

const sources = import.meta.glob<string>('../../**/*.{vue,ts}', { query: '?raw', import: 'default', eager: true })

// 认得的参数：写全了的查询写成的地址里有的那些。
const known = new Set(Object.keys(toURL({ ...usual, range: 'custom', from: 0, to: 1, zone: 'UTC', interval: 'day', by: ['server'], server: ['a'], app: ['a'], model: ['a'], metric: 'cost', top: 5, rows: 'time', sort: 'cost' })))

it('别的页指到用量统计的地址，用的都是它认得的参数', () => {
  const links = Object.entries(sources).filter(([path]) => !path.includes('schema.d.ts') && !path.includes('/api/') && !path.endsWith('.test.ts'))
    .flatMap(([, text]) => [...text.matchAll(/["'`]\/usage\?([^"'`]*)/g)].map((m) => m[1]!))
  expect(links.length).toBeGreaterThan(0)
  for (const link of links) for (const [name] of new URLSearchParams(link)) expect(known, link).toContain(name)
  expect(fromURL({ by: 'app,code' }).by).toEqual(['app', 'code'])
})
