import { createRouter, createWebHistory, type RouteRecordRaw } from 'vue-router'

import AppShell from '@/layouts/AppShell.vue'

/** sections 是侧栏里的次序；name 也是文字的键（nav.<name>）与页面的目录名。 */
export const sections = [
  { group: 'watch', pages: ['overview', 'queues', 'requests', 'usage', 'nodes'] },
  { group: 'configure', pages: ['servers', 'models', 'apps', 'revisions'] },
  { group: 'use', pages: ['playground'] },
  { group: 'manage', pages: ['audit', 'access', 'settings'] },
] as const

export type PageName = (typeof sections)[number]['pages'][number]

const pages = import.meta.glob<{ default: object }>('../pages/*/index.vue')

function page(name: PageName): RouteRecordRaw[] {
  const load = pages[`../pages/${name}/index.vue`]
  return load ? [{ path: name === 'overview' ? '' : name, name, component: load }] : []
}

export const router = createRouter({
  history: createWebHistory(),
  routes: [
    { path: '/login', name: 'login', component: () => import('@/pages/login/index.vue') },
    { path: '/', component: AppShell, children: sections.flatMap((s) => s.pages.flatMap(page)) },
    { path: '/:rest(.*)*', redirect: '/' },
  ],
})

/** available 说一页有没有。 */
export function available(name: PageName): boolean {
  return router.hasRoute(name)
}
