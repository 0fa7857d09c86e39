import { expect, it } from 'vitest'

import { writerOf } from './change'
import type { Revision } from './revisions'

const revision = (n: number, summary: string) => ({ revision: n, summary, actor: `who-${n}`, created_at: '' }) as Revision
const history = [revision(5, '1 updated: server gpu-10'), revision(4, '1 created, 1 updated: app gpu-1, server gpu-1'), revision(3, '1 updated: server gpu-1')]

it('名字与种类都对得上才是动过它的一版', () => {
  expect(writerOf(history, 'server', 'gpu-1')?.revision).toBe(4)
  expect(writerOf(history, 'server', 'gpu-10')?.revision).toBe(5)
  expect(writerOf(history, 'model', 'gpu-1')).toBeNull()
})

it('摘要没有列全的一版也许就是它：不把更早的人说成是他', () => {
  const vast = revision(6, '40 updated: app a-1, app a-2, …')
  expect(writerOf([vast, ...history], 'server', 'gpu-1')).toBeNull()
  expect(writerOf([vast, ...history], 'app', 'a-1')?.revision).toBe(6)
})
