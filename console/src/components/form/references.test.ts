import { expect, it } from 'vitest'

import { userOf } from './references'

it('引用者的页由路径认出，名字里的斜杠写成 %2F', () => {
  expect(userOf('models[org/embed].targets[0].server')).toEqual({ path: '/models/org%2Fembed' })
  expect(userOf('apps[team-a].default_server')).toEqual({ path: '/apps/team-a' })
  expect(userOf('settings.time_zone')).toBeNull()
})
