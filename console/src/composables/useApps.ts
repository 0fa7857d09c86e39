import { useQuery, useQueryCache } from '@pinia/colada'
import { useI18n } from 'vue-i18n'

import { type App, type AppSettings, choices, createApp, deleteApp, getApp, listApps, putApp, requestsLastHour, settingsOf, usageLastDay } from '@/api/apps'
import { listBudgets } from '@/api/budgets'
import { applyConfig } from '@/api/config'
import { asProblem } from '@/api/problem'

import { useSaved } from './useSaved'

export function useApps() {
  return useQuery({ key: ['apps'], query: async () => (await listApps()).apps })
}

export function useApp(name: () => string) {
  return useQuery({ key: () => ['apps', name()], query: () => getApp(name()) })
}

/** useBudgets 是有预算的应用花到了哪里，键是应用。 */
export function useBudgets() {
  return useQuery({ key: ['budgets'], query: async () => new Map((await listBudgets()).map((b) => [b.app, b])) })
}

/** useRequestsLastHour 是各应用近一小时的请求数，一次问全。 */
export function useRequestsLastHour() {
  return useQuery({ key: ['usage', 'apps-last-hour'], query: () => requestsLastHour(), staleTime: 15_000 })
}

export function useAppUsage(name: () => string) {
  return useQuery({ key: () => ['usage', 'app-last-day', name()], query: () => usageLastDay(name()), staleTime: 15_000 })
}

/** useChoices 是写应用时能选的模型与服务器。 */
export function useChoices() {
  return useQuery({ key: ['choices'], query: choices })
}

const tries = 4

/** turnedWith 现读一遍，把这些应用的开关一次写成一版；别人恰好也在写就再读再写：开关不依赖别的字段。 */
async function turnedWith(names: Set<string>, enabled: boolean, note: string): Promise<number> {
  for (let n = 1; ; n++) {
    const { apps, revision } = await listApps()
    const mine = apps.filter((a) => names.has(a.name)).map((a) => ({ ...settingsOf(a), enabled }))
    try {
      return (await applyConfig({ apps: mine }, { etag: `"${revision}"`, note })).revision
    } catch (e) {
      if (asProblem(e).status !== 412 || n === tries) throw e
    }
  }
}

/** useAppWrites 是对应用的写：写完宣布，读过的重读。 */
export function useAppWrites() {
  const { t } = useI18n()
  const cache = useQueryCache()
  const saved = useSaved()

  // 重读失败了由各自的查询说，这里不再说一遍。
  function reread(exact = false): void {
    for (const key of ['apps', 'budgets']) cache.invalidateQueries({ key: [key], exact }).catch(() => {})
  }

  async function create(app: AppSettings): Promise<void> {
    const w = await createApp(app)
    saved.announce(t('apps.saved.created', { name: app.name }), w.revision)
    reread()
  }

  async function replace(app: AppSettings, etag: string): Promise<void> {
    const w = await putApp(app, etag)
    saved.announce(t('apps.saved.updated', { name: app.name }), w.revision)
    reread()
  }

  async function remove(name: string): Promise<void> {
    const w = await deleteApp(name)
    saved.announce(t('apps.saved.deleted', { name }), w.revision)
    // 它自己的页也许还开着：没有了的不去重读。
    reread(true)
  }

  /** turn 一次启用或停用许多应用，只成一个版本；撤销只翻回真正变了的。 */
  async function turn(apps: Pick<App, 'name' | 'enabled'>[], enabled: boolean, undoable = true): Promise<void> {
    const changing = apps.filter((a) => a.enabled !== enabled)
    if (changing.length === 0) return
    const text = enabled ? t('apps.saved.enabled', { n: changing.length }) : t('apps.saved.disabled', { n: changing.length })
    const revision = await turnedWith(new Set(changing.map((a) => a.name)), enabled, text)
    const back = changing.map((a) => ({ name: a.name, enabled }))
    saved.announce(text, revision, undoable ? () => turn(back, !enabled, false) : undefined)
    reread()
  }

  return { read: getApp, create, replace, remove, turn }
}
