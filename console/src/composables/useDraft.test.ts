import { beforeEach, describe, expect, it, vi } from 'vitest'
import { effectScope, nextTick, ref } from 'vue'

import { Problem } from '@/api/problem'

import { useDraft } from './useDraft'

interface Thing { name: string; size: number; note: string }
interface Reading { name: string; answer: (t: Thing, etag: string) => void; fail: (e: unknown) => void }
interface Writing { form: Thing; etag: string; done: () => void; fail: (e: unknown) => void }

const readings: Reading[] = []
const writings: Writing[] = []
beforeEach(() => { readings.length = 0; writings.length = 0 })

const flush = async () => { for (let i = 0; i < 8; i++) await nextTick() }
const thing = (name: string, size = 1, note = ''): Thing => ({ name, size, note })
const stale = new Problem({ status: 412, code: 'stale', detail: 'changed' })

function start() {
  const open = ref(false)
  const name = ref('')
  const late = vi.fn()
  const scope = effectScope()
  const draft = scope.run(() => useDraft<Thing, Thing>({
    open, name: () => name.value, late,
    read: (n) => new Promise((answer, fail) => void readings.push({ name: n, answer: (data, etag) => answer({ data, etag }), fail })),
    blank: () => thing(''), formOf: (t) => ({ ...t }),
    check: (f) => ({ name: f.name ? '' : 'required' }),
    write: (form, etag) => new Promise((done, fail) => void writings.push({ form: { ...form }, etag, done, fail })),
    lastChange: () => Promise.resolve({ actor: 'li', at: '2026-11-23T00:00:00Z', summary: '', changes: [] }),
  }))!
  async function show(n: string) { name.value = n; open.value = true; await flush() }
  async function hide() { open.value = false; await flush() }
  return { open, draft, late, show, hide, leave: () => scope.stop() }
}

describe('useDraft', () => {
  it('换了对象之后才到的旧的一份不算数：写的总是眼前这一个', async () => {
    const { draft, show, hide } = start()
    await show('a')
    await hide()
    await show('b')
    readings[1]!.answer(thing('b', 2), '"2"')
    await flush()
    readings[0]!.answer(thing('a', 1), '"1"')
    await flush()
    expect(draft.form.value).toEqual(thing('b', 2))
    void draft.save()
    expect(writings).toMatchObject([{ form: { name: 'b' }, etag: '"2"' }])
  })

  it('先看一个、再新建：迟来的那个不盖掉正写着的', async () => {
    const { draft, show, hide } = start()
    await show('a')
    await hide()
    await show('')
    draft.form.value.name = 'mine'
    readings[0]!.answer(thing('a'), '"1"')
    await flush()
    expect(draft.form.value.name).toBe('mine')
    expect(draft.loading.value).toBe(false)
  })

  it('没有读来之前、没有读成，都不许存：不拿上一个的样子去写', async () => {
    const { draft, show, hide } = start()
    await show('a')
    readings[0]!.answer(thing('a'), '"1"')
    await flush()
    await hide()
    await show('b')
    await draft.save()
    readings[1]!.fail(new Problem({ status: 500, code: 'internal', detail: 'no' }))
    await flush()
    await draft.save()
    expect(writings).toHaveLength(0)
    expect(draft.loadError.value).toBeInstanceOf(Problem)
  })

  it('自己就知道不对的不去问；API 的错误各归各的字段', async () => {
    const { draft, show } = start()
    await show('')
    await draft.save()
    expect(draft.errors.value).toEqual({ name: 'required' })
    draft.form.value.name = 'x'
    void draft.save()
    writings[0]!.fail(new Problem({ status: 400, code: 'invalid', detail: 'no', errors: [{ path: 'size', message: 'too big' }] }))
    await flush()
    expect(draft.errors.value).toEqual({ size: 'too big' })
    expect(draft.busy.value).toBe(false)
  })

  it('连按两次只写一次', async () => {
    const { draft, show } = start()
    await show('')
    draft.form.value.name = 'x'
    void draft.save()
    void draft.save()
    expect(writings).toHaveLength(1)
  })

  it('写的途中换了对象：先前那次写成了不关现在的，没有写成另说', async () => {
    const { draft, open, late, show } = start()
    await show('a')
    readings[0]!.answer(thing('a'), '"1"')
    await flush()
    void draft.save()
    await show('b')
    readings[1]!.answer(thing('b'), '"1"')
    await flush()
    void draft.save()
    writings[0]!.fail(stale)
    await flush()
    expect(late).toHaveBeenCalledWith(stale)
    expect(draft.conflict.change.value).toBeNull()
    expect(draft.busy.value).toBe(true)
    expect(open.value).toBe(true)
    writings[1]!.done()
    await flush()
    expect(open.value).toBe(false)
  })

  it('页面走了才失败的也说得出来', async () => {
    const { draft, late, show, leave } = start()
    await show('')
    draft.form.value.name = 'x'
    void draft.save()
    leave()
    writings[0]!.fail(stale)
    await flush()
    expect(late).toHaveBeenCalledWith(stale)
  })

  it('别人先改了：合并两边，都改了的留我的并报出来；再存带着新的 ETag', async () => {
    const { draft, show } = start()
    await show('a')
    readings[0]!.answer(thing('a', 1, 'old'), '"1"')
    await flush()
    draft.form.value.size = 5
    void draft.save()
    writings[0]!.fail(stale)
    await flush()
    expect(draft.conflict.change.value?.actor).toBe('li')
    void draft.reload(true)
    readings[1]!.answer(thing('a', 9, 'new'), '"2"')
    await flush()
    expect(draft.form.value).toEqual(thing('a', 5, 'new'))
    expect(draft.both.value).toEqual(['size'])
    expect(draft.conflict.change.value).toBeNull()
    void draft.save()
    expect(writings[1]!.etag).toBe('"2"')
  })

  it('取不来别人的样子：我的还在，冲突还说着', async () => {
    const { draft, show } = start()
    await show('a')
    readings[0]!.answer(thing('a'), '"1"')
    await flush()
    draft.form.value.size = 5
    void draft.save()
    writings[0]!.fail(stale)
    await flush()
    void draft.reload(false)
    readings[1]!.fail(new Problem({ status: 0, code: 'unreachable', detail: 'no' }))
    await flush()
    expect(draft.form.value.size).toBe(5)
    expect(draft.conflict.change.value).not.toBeNull()
  })
})
