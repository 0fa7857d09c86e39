import { useQuery } from '@pinia/colada'
import { computed } from 'vue'
import { useI18n } from 'vue-i18n'
import { useRouter } from 'vue-router'

import { catalog } from '@/api/catalog'
import { useProblem } from '@/composables/useProblem'
import { useSession } from '@/composables/useSession'
import { useTheme } from '@/composables/useTheme'
import { type Locale, locales, setLocale } from '@/locales'
import { available, sections } from '@/router'

import type { Entry } from './rank'

const names: Record<Locale, string> = { 'zh-CN': '简体中文', en: 'English' }

/** usePaletteEntries 是能搜的一切：页面、动作、各种名字；角色做不了的不在其中。 */
export function usePaletteEntries() {
  const { t, locale } = useI18n()
  const router = useRouter()
  const session = useSession()
  const theme = useTheme()
  const { toast } = useProblem()
  const { data, error, isLoading } = useQuery({ key: ['catalog'], query: catalog, staleTime: 10_000 })

  const entry = (kind: Entry['kind'], id: string, title: string, note: string, run: () => unknown, more = ''): Entry =>
    ({ kind, id: `${kind}-${id}`, title, note, hay: `${title} ${note} ${more}`.toLowerCase(), run })
  const to = (path: string) => () => router.push(path)
  // 有自己的一页就去那一页；没有就到名单里找它。
  const object = (noun: string, name: string) => () =>
    router.push(router.hasRoute(`${noun}-detail`) ? { name: `${noun}-detail`, params: { name } } : { path: `/${noun}`, query: { q: name } })

  async function leave() {
    try {
      await session.leave()
      await router.push({ name: 'login' })
    } catch (e) {
      toast(e)
    }
  }

  const actions = computed(() => [
    ...(session.can('operator')
      ? [
          entry('action', 'new-server', t('palette.action.newServer'), '', to('/servers?new=1'), 'new create add server'),
          entry('action', 'new-model', t('palette.action.newModel'), '', to('/models?new=1'), 'new create add model'),
          entry('action', 'new-app', t('palette.action.newApp'), '', to('/apps?new=1'), 'new create add app key'),
          entry('action', 'guide', t('palette.action.guide'), '', to('/?guide=1'), 'guide first run setup wizard'),
        ]
      : []),
    entry('action', 'theme', theme.dark.value ? t('shell.toLight') : t('shell.toDark'), '', () => theme.choose(theme.dark.value ? 'light' : 'dark'), 'theme dark light'),
    ...locales.filter((l) => l !== locale.value).map((l) => entry('action', `language-${l}`, names[l], t('shell.language'), () => setLocale(l), 'language locale')),
    entry('action', 'account', t('shell.yourAccount'), '', () => router.push({ path: '/access', query: { tab: 'account' } }), 'account password session'),
    entry('action', 'leave', t('shell.signOut'), '', leave, 'sign out log out logout'),
  ])
  const pages = computed(() => sections.flatMap((s) => s.pages).filter((p) => available(p, session.can)).map((p) => entry('page', p, t(`nav.${p}`), '', () => router.push({ name: p }), p)))
  const things = computed(() => {
    const c = data.value
    if (!c) return []
    const off = (enabled?: boolean) => (enabled === false ? t('common.disabled') : '')
    return [
      ...c.servers.map((s) => entry('server', s.name, s.name, off(s.enabled) || s.base_url, object('servers', s.name), s.base_url)),
      ...c.models.map((m) => entry('model', m, m, '', object('models', m))),
      ...c.apps.map((a) => entry('app', a.name, a.name, off(a.enabled), object('apps', a.name))),
      ...c.nodes.map((n) => entry('node', n.id, n.id, n.connected ? '' : t('palette.away'), object('nodes', n.id))),
      ...c.revisions.map((r) => entry('revision', String(r.revision), t('palette.revision', { revision: r.revision }), r.note || r.summary || r.actor, object('revisions', String(r.revision)), `${r.revision} r${r.revision} ${r.actor}`)),
    ]
  })
  const entries = computed(() => [...pages.value, ...actions.value, ...things.value])
  const request = (id: string) => entry('request', id, id, t('palette.openRequest'), to(`/requests/${encodeURIComponent(id)}`))
  return { entries, request, error, isLoading }
}
