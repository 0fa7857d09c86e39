import { createRouter, createWebHistory, type RouteRecordRaw } from 'vue-router'

import type { Role } from '@/api/session'
import { useSession } from '@/composables/useSession'
import AppShell from '@/layouts/AppShell.vue'

import { safeNext } from './next'

declare module 'vue-router' {
  interface RouteMeta {
    /** noun 是页面的目录名，也是 nav.<noun> 那句文字。 */
    noun?: PageName
  }
}

/** sections 是侧栏里的次序；名字也是文字的键（nav.<name>）与页面的目录名。 */
export const sections = [
  { group: 'watch', pages: ['overview', 'queues', 'requests', 'usage', 'nodes'] },
  { group: 'configure', pages: ['servers', 'models', 'apps', 'revisions'] },
  { group: 'use', pages: ['playground'] },
  { group: 'manage', pages: ['audit', 'access', 'settings'] },
] as const

export type PageName = (typeof sections)[number]['pages'][number]

// 一页是 pages/<名词>/index.vue；有 detail.vue 的另有 /<名词>/<名字>。
const lists = import.meta.glob<{ default: object }>('../pages/*/index.vue')
const details = import.meta.glob<{ default: object }>('../pages/*/detail.vue')

const least: Partial<Record<PageName, Role>> = { audit: 'admin' }

function page(noun: PageName): RouteRecordRaw[] {
  const list = lists[`../pages/${noun}/index.vue`]
  const detail = details[`../pages/${noun}/detail.vue`]
  const routes: RouteRecordRaw[] = []
  if (list) routes.push({ path: noun === 'overview' ? '' : noun, name: noun, component: list, meta: { noun } })
  if (detail) routes.push({ path: `${noun}/:name`, name: `${noun}-detail`, component: detail, props: true, meta: { noun } })
  return routes
}

export const router = createRouter({
  history: createWebHistory(),
  routes: [
    { path: '/login', name: 'login', component: () => import('@/pages/login/index.vue') },
    { path: '/', component: AppShell, children: [...sections.flatMap((s) => s.pages.flatMap(page)), { path: ':rest(.*)*', name: 'missing', component: () => import('@/pages/missing/index.vue') }] },
  ],
})

router.beforeEach(async (to) => {
  const session = useSession()
  try {
    await session.load()
  } catch {
    // 够不着控制面也给页面：它自己的失败处说得更清楚，还能再试。
    return true
  }
  const inside = session.identity !== null && !session.mustChangePassword
  if (to.name === 'login') return inside ? safeNext(to.query.next) : true
  return inside ? true : { name: 'login', query: to.fullPath === '/' ? {} : { next: to.fullPath } }
})

/** available 说一页有没有，这个角色看不看得到。 */
export function available(noun: PageName, can: (least: Role) => boolean): boolean {
  return router.hasRoute(noun) && can(least[noun] ?? 'viewer')
}
