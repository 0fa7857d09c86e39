import { expect, it } from 'vitest'

import { safeNext } from './next'

it.each([
  ['/servers?q=gpu#top', '/servers?q=gpu#top'],
  ['/', '/'],
  ['//evil.example', '/'],
  ['/\\evil.example', '/'],
  ['/a\\b', '/'],
  ['/\t/evil.example', '/'],
  ['https://evil.example', '/'],
  ['javascript:alert(1)', '/'],
  ['servers', '/'],
  ['', '/'],
  ['/login', '/'],
  ['/login?next=/login', '/'],
  ['/loginx', '/loginx'],
  [['/a', '/b'], '/'],
  [undefined, '/'],
])('%j 去 %s', (wanted, where) => {
  expect(safeNext(wanted)).toBe(where)
})
