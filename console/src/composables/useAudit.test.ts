import { beforeEach, describe, expect, it, vi } from 'vitest'
import { effectScope, nextTick, ref } from 'vue'

import type { AuditEntry, AuditFilter, AuditPage } from '@/api/audit'

import { useAudit } from './useAudit'

const calls: { filter: AuditFilter; cursor: string; answer: (p: AuditPage) => void; fail: (e: Error) => void }[] = []
vi.mock('@/api/audit', () => ({
  audit: (filter: AuditFilter, cursor: string) => new Promise<AuditPage>((answer, fail) => void calls.push({ filter: { ...filter }, cursor, answer, fail })),
}))

const none: AuditFilter = { actor: '', action: '', object: '', address: '', from: '', to: '' }
const entry = (id: number) => ({ id }) as AuditEntry
const flush = async () => { for (let i = 0; i < 5; i++) await nextTick() }

function start() {
  const filter = ref({ ...none })
  const list = effectScope().run(() => useAudit(() => filter.value))!
  return { filter, list }
}

describe('useAudit', () => {
  beforeEach(() => void calls.splice(0))

  it('一页接一页，到头就没有更多', async () => {
    const { list } = start()
    calls[0]!.answer({ items: [entry(9), entry(8)], next_cursor: '8' })
    await flush()
    expect(list.hasMore.value).toBe(true)
    void list.more()
    expect(calls[1]!.cursor).toBe('8')
    calls[1]!.answer({ items: [entry(7)], next_cursor: null })
    await flush()
    expect(list.items.value.map((e) => e.id)).toEqual([9, 8, 7])
    expect(list.hasMore.value).toBe(false)
    await list.more()
    expect(calls).toHaveLength(2)
  })

  it('条件变了，先前的答案后到也不算', async () => {
    const { filter, list } = start()
    filter.value.actor = 'li'
    await flush()
    calls[1]!.answer({ items: [entry(2)], next_cursor: null })
    calls[0]!.answer({ items: [entry(1)], next_cursor: '1' })
    await flush()
    expect(calls[1]!.filter.actor).toBe('li')
    expect(list.items.value.map((e) => e.id)).toEqual([2])
    expect(list.hasMore.value).toBe(false)
    expect(list.loading.value).toBe(false)
  })

  it('取不到更旧的：已有的留着，失败说得出，还能再取', async () => {
    const { list } = start()
    calls[0]!.answer({ items: [entry(9)], next_cursor: '9' })
    await flush()
    void list.more()
    calls[1]!.fail(new Error('gone'))
    await flush()
    expect(list.items.value).toHaveLength(1)
    expect(list.error.value).toBeInstanceOf(Error)
    void list.more()
    calls[2]!.answer({ items: [entry(8)], next_cursor: null })
    await flush()
    expect(list.error.value).toBeUndefined()
    expect(list.items.value).toHaveLength(2)
  })
})
