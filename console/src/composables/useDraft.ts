import { computed, onScopeDispose, ref, type Ref, watch } from 'vue'

import type { Change } from '@/api/change'
import { fieldErrors } from '@/api/problem'
import { merge } from '@/components/conflict/merge'

import { useConflict } from './useConflict'

/** DraftOptions 说怎样读、怎样写一个对象 T，与它在表单里的样子 F；F 须能写成 JSON。 */
export interface DraftOptions<T, F extends object> {
  open: Ref<boolean>
  /** name 是在改的那一个；空即新建。 */
  name: () => string
  read: (name: string) => Promise<{ data: T; etag: string }>
  blank: () => F
  formOf: (data: T) => F
  /** check 是不必问 API 就知道的错误，键是路径；空的不算。 */
  check: (form: F) => Record<string, string>
  /** write 写下 form；新建时 etag 为空。 */
  write: (form: F, etag: string) => Promise<void>
  lastChange: (name: string) => Promise<Change | null>
  /** late 收人已经离开之后才知道的失败：没有别处可说。 */
  late: (e: unknown) => void
  /** bare 去掉只为画而有的（列表的 id），才看得出动过没有；numbered 补回来。 */
  bare?: (form: F) => F
  numbered?: (form: F) => F
}

const copied = <V>(v: V): V => JSON.parse(JSON.stringify(v)) as V

/**
 * useDraft 是一个抽屉里的草稿：打开时现读一份，带着它的 ETag 写；别人先改了就合并，不盖掉谁的。
 * 换了对象之后才到的旧答案一概不算；没有读成就不许存。
 */
export function useDraft<T, F extends object>(o: DraftOptions<T, F>) {
  const bare = o.bare ?? copied
  const numbered = o.numbered ?? ((f: F) => f)
  const conflict = useConflict(o.lastChange)
  const base = ref(o.blank()) as Ref<F>
  const form = ref(o.blank()) as Ref<F>
  const stored = ref(null) as Ref<T | null>
  const ready = ref(false)
  const loading = ref(false)
  const loadError = ref<unknown>()
  const error = ref<unknown>()
  const errors = ref<Record<string, string>>({})
  const busy = ref(false)
  /** both 是两边都改过、现在写着我的的字段。 */
  const both = ref<string[]>([])
  const dirty = computed(() => ready.value && JSON.stringify(bare(form.value)) !== JSON.stringify(bare(base.value)))
  let etag = ''
  let round = 0

  async function load(mine: number): Promise<F | null> {
    loading.value = true
    loadError.value = undefined
    try {
      const got = await o.read(o.name())
      if (mine !== round) return null
      stored.value = got.data
      etag = got.etag
      return o.formOf(got.data)
    } catch (e) {
      if (mine === round) loadError.value = e
      return null
    } finally {
      if (mine === round) loading.value = false
    }
  }

  async function begin(): Promise<void> {
    const mine = ++round
    for (const r of [error, loadError]) r.value = undefined
    for (const r of [loading, busy, ready]) r.value = false
    errors.value = {}
    both.value = []
    stored.value = null
    etag = ''
    conflict.clear()
    const fresh = o.name() === '' ? o.blank() : await load(mine)
    if (!fresh) return
    base.value = fresh
    form.value = copied(fresh)
    ready.value = true
  }
  // 抽屉开着时地址也会换（后退到另一个对象）：那是另一份草稿。
  watch([o.open, o.name], ([is]) => { if (is) void begin() }, { immediate: true })
  onScopeDispose(() => { round++ })

  async function save(): Promise<void> {
    if (busy.value || !ready.value) return
    error.value = undefined
    errors.value = Object.fromEntries(Object.entries(o.check(form.value)).filter(([, m]) => m !== ''))
    if (Object.keys(errors.value).length) return
    const mine = round
    const name = o.name()
    busy.value = true
    try {
      await o.write(form.value, etag)
      if (mine === round) o.open.value = false
    } catch (e) {
      if (mine !== round) o.late(e)
      else if (!(await conflict.caught(e, name)) && mine === round) {
        error.value = e
        errors.value = fieldErrors(e)
      }
    } finally {
      if (mine === round) busy.value = false
    }
  }

  /** reload 取来此刻的样子；keep 时我改过的留着。 */
  async function reload(keep: boolean): Promise<void> {
    const theirs = await load(round)
    if (!theirs) return
    const merged = keep ? merge(bare(base.value), bare(form.value), bare(theirs)) : { value: bare(theirs), both: [] }
    base.value = theirs
    form.value = numbered(merged.value)
    both.value = merged.both
    conflict.clear()
  }

  return { form, stored, ready, loading, loadError, error, errors, busy, both, dirty, conflict, begin, save, reload }
}
