import { useQuery, useQueryCache } from '@pinia/colada'
import { defineStore } from 'pinia'
import { computed, ref, watch } from 'vue'

import { type FreshKey, names } from '@/api/guide'
import type { Overview } from '@/api/live'

import { useSession } from './useSession'

/** Step 是首次引导的四步。 */
export type Step = 'server' | 'model' | 'app' | 'curl'

export const steps: readonly Step[] = ['server', 'model', 'app', 'curl']

/** needsGuide 说这套安装还用不起来：少了服务器、模型、应用或密钥，或从来没有过一个请求。 */
export function needsGuide(o: Overview): boolean {
  const c = o.counts
  return c.servers === 0 || c.models === 0 || c.apps === 0 || c.keys === 0 || !c.requests_ever
}

/** stepOf 是头一个还没有做的一步，由现状算出：重新载入也接得上。 */
export function stepOf(o: Overview): Step {
  const c = o.counts
  if (c.servers === 0) return 'server'
  if (c.models === 0) return 'model'
  return c.apps === 0 || c.keys === 0 ? 'app' : 'curl'
}

/** Taken 是引导里选定的名字：刚做出来的，或挑了已有的。 */
export type Taken = Partial<Record<Exclude<Step, 'curl'>, string>>

/** stepFrom 是接着要做的一步：from 之前的现状里已有，taken 里的已选定。 */
export function stepFrom(from: Step, taken: Taken): Step {
  const first = steps.indexOf(from)
  return steps.find((s, i) => i >= first && (s === 'curl' || taken[s] === undefined)) ?? 'curl'
}

const keptAt = 'vega.guide'

function kept(): Taken {
  try {
    const { server, model, app } = JSON.parse(sessionStorage.getItem(keptAt) ?? '{}') as Record<string, unknown>
    const text = (v: unknown) => (typeof v === 'string' && v ? v : undefined)
    return { server: text(server), model: text(model), app: text(app) }
  } catch {
    return {}
  }
}

/** useGuide 是引导里要跨页记着的几样；选定的名字重新载入还在，密钥的明文只在内存里，刷新就没有了。 */
export const useGuide = defineStore('guide', () => {
  /** engaged 在引导露过面之后为真：走到头来了第一个请求，也要等人看过才收走。 */
  const engaged = ref(false)
  /** listed 是试连时上游自报的模型，下一步挑。 */
  const listed = ref<{ server: string; models: string[] } | null>(null)
  const taken = ref<Taken>(kept())
  const fresh = ref<FreshKey | null>(null)
  watch(taken, (now) => sessionStorage.setItem(keptAt, JSON.stringify(now)))

  function take(step: keyof Taken, name: string): void {
    taken.value = { ...taken.value, [step]: name }
  }
  /** retake 回到已走过的一步；换了服务器，模型也要重选。 */
  function retake(step: keyof Taken): void {
    const { server, model, app } = taken.value
    taken.value = step === 'server' ? { app } : step === 'model' ? { server, app } : { server, model }
    if (step === 'app') fresh.value = null
  }
  /** keep 只留下还在的：别处删掉了的，那一步要重做。 */
  function keep(there: Record<keyof Taken, readonly string[]>): void {
    const still = (s: keyof Taken) => (there[s].includes(taken.value[s] ?? '') ? taken.value[s] : undefined)
    taken.value = { server: still('server'), model: still('model'), app: still('app') }
  }
  function forget(): void {
    taken.value = {}
  }
  function finish(): void {
    engaged.value = false
    fresh.value = null
    listed.value = null
    forget()
  }
  // 明文不留给下一个登录的人。
  const session = useSession()
  watch(() => session.identity?.name, finish)

  return { engaged, listed, taken, fresh, take, retake, keep, forget, finish }
})

/** useGuideNames 是已有的东西；写过之后 refresh，各处的名单都重新取。 */
export function useGuideNames() {
  const query = useQuery({ key: ['guide-names'], query: names })
  const cache = useQueryCache()
  const data = query.data
  return {
    data, error: query.error, refetch: query.refetch,
    servers: computed(() => data.value?.servers.map((s) => s.name) ?? []),
    models: computed(() => data.value?.models ?? []),
    apps: computed(() => data.value?.apps.map((a) => a.name) ?? []),
    refresh: () => cache.invalidateQueries(),
  }
}
