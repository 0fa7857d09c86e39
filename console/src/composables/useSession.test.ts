import { PiniaColada, useQueryCache } from '@pinia/colada'
import { createPinia } from 'pinia'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { createApp } from 'vue'

import { Problem } from '@/api/problem'
import type { Identity } from '@/api/session'

import { useSession } from './useSession'

const api = vi.hoisted(() => ({ current: null as unknown, asked: 0, refused: null as unknown, failed: false, lost: (() => {}) as (p: unknown) => void }))
vi.mock('@/api/session', () => ({
  currentIdentity: async () => { api.asked++; if (api.failed) throw new Error('away'); return api.current },
  signIn: async () => api.current,
  signOut: async () => { if (api.refused) throw api.refused },
  changePassword: async () => api.current,
  whenUnauthenticated: (f: (p: unknown) => void) => { api.lost = f },
}))

const li = { kind: 'operator', name: 'li', role: 'operator', scopes: [], must_change_password: false } as Identity

function start() {
  const app = createApp({ render: () => null })
  app.use(createPinia()).use(PiniaColada)
  return app.runWithContext(() => ({ session: useSession(), queries: useQueryCache() }))
}

describe('useSession', () => {
  beforeEach(() => {
    localStorage.clear()
    sessionStorage.clear()
    Object.assign(api, { current: null, asked: 0, refused: null, failed: false })
  })

  it('没有登录过就不去问：答案注定是 401', async () => {
    const { session } = start()
    await session.load()
    expect([api.asked, session.known, session.ended]).toEqual([0, true, false])
  })

  it('登录过而会话没有了：知道是结束了', async () => {
    api.current = li
    await start().session.enter('li', 'x')
    api.current = null
    const { session } = start()
    await session.load()
    expect([api.asked, session.identity, session.ended]).toEqual([1, null, true])
    const again = start().session
    await again.load()
    expect([api.asked, again.known, again.ended], '刷新之后不必再问，也还说得出来').toEqual([1, true, true])
    await again.leave()
    const later = start().session
    await later.load()
    expect(later.ended).toBe(false)
  })

  it('会话早已没有了也退得出去；够不着控制面才是退不出去', async () => {
    api.current = li
    const { session } = start()
    await session.enter('li', 'x')
    api.refused = new Problem({ status: 503, code: 'unavailable', detail: 'no' })
    await expect(session.leave()).rejects.toBe(api.refused)
    expect(session.identity?.name).toBe('li')
    api.refused = new Problem({ status: 401, code: 'unauthenticated', detail: 'gone' })
    await session.leave()
    expect(session.identity).toBeNull()
  })

  it('走了的人在这个标签页里记着的密钥不留给下一个，没有打开过那一页也一样', async () => {
    api.current = li
    const { session } = start()
    await session.enter('li', 'x')
    sessionStorage.setItem('vega.playground.key', 'sk-li')
    await session.leave()
    expect(sessionStorage.length).toBe(0)
  })

  it('醒来再问是谁：角色跟着变；换了人，记着的也不留；问不到就当没有变', async () => {
    api.current = li
    const { session } = start()
    const lost = vi.fn()
    session.onLost(lost)
    await session.enter('li', 'x')
    api.current = { ...li, role: 'viewer' }
    await session.refresh()
    expect([session.role, session.can('operator')]).toEqual(['viewer', false])
    sessionStorage.setItem('vega.playground.key', 'sk-li')
    api.current = { ...li, name: 'wang', role: 'admin' }
    await session.refresh()
    expect([session.identity?.name, session.role, sessionStorage.length]).toEqual(['wang', 'admin', 0])
    api.failed = true
    await session.refresh()
    expect(session.identity?.name).toBe('wang')
    Object.assign(api, { failed: false, current: null })
    await session.refresh()
    expect([session.identity, session.ended, lost.mock.calls.length]).toEqual([null, true, 1])
  })

  it('去提供方登录没有成，不算会话结束', async () => {
    start().session.outward()
    const { session } = start()
    await session.load()
    expect([api.asked, session.ended]).toEqual([1, false])
  })

  it('自己退出登录不算结束；换一个人登录，上一个人取来的都扔掉', async () => {
    api.current = li
    const { session, queries } = start()
    await session.enter('li', 'x')
    queries.setQueryData(['operators'], ['secret'])
    await session.leave()
    expect([session.ended, localStorage.length]).toEqual([false, 0])
    await session.enter('wang', 'x')
    expect(queries.getQueryData(['operators'])).toBeUndefined()
  })

  it('会话被收回：说一次，之后的 401 不再说', async () => {
    api.current = li
    const { session } = start()
    await session.enter('li', 'x')
    const went: unknown[] = []
    session.onLost((p) => void went.push(p))
    const gone = new Problem({ status: 401, code: 'unauthenticated', detail: 'gone' })
    api.lost(gone)
    api.lost(gone)
    expect([went.length, session.ended, session.can('viewer')]).toEqual([1, true, false])
  })

  it.each([['viewer', [true, false, false]], ['operator', [true, true, false]], ['admin', [true, true, true]]] as const)('%s 能做到哪一级', async (role, can) => {
    api.current = { ...li, role }
    const { session } = start()
    await session.enter('li', 'x')
    expect((['viewer', 'operator', 'admin'] as const).map((r) => session.can(r))).toEqual(can)
  })
})
