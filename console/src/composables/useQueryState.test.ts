import { expect, it } from 'vitest'
import { createApp, h } from 'vue'
import { createMemoryHistory, createRouter } from 'vue-router'

import { useQueryText } from './useQueryState'

async function at(path: string) {
  const router = createRouter({ history: createMemoryHistory(), routes: [{ path: '/:rest(.*)*', component: { render: () => h('p') } }] })
  await router.push(path)
  const app = createApp({ render: () => null }).use(router)
  return { router, use: (name: string, fallback = '') => app.runWithContext(() => useQueryText(name, fallback)) }
}
const settle = () => new Promise((r) => setTimeout(r))

it('同一拍里换的几个参数都留下；等于缺省的不写出来', async () => {
  const { router, use } = await at('/servers?keep=1&sort=-load')
  const [text, kind, sort] = [use('q'), use('state', 'all'), use('sort', 'name')]
  text.value = 'gpu'
  kind.value = 'full'
  sort.value = 'name'
  await settle()
  expect(router.currentRoute.value.query).toEqual({ keep: '1', q: 'gpu', state: 'full' })
  text.value = ''
  await settle()
  expect(router.currentRoute.value.query).toEqual({ keep: '1', state: 'full' })
})

it('换了又改回来，留下的是后来的；别人换的地址不被先前的盖掉', async () => {
  const { router, use } = await at('/servers')
  const text = use('q')
  text.value = 'a'
  text.value = 'b'
  await settle()
  expect(text.value).toBe('b')
  await router.push('/servers?q=c')
  expect(text.value).toBe('c')
  use('state').value = 'full'
  await settle()
  expect(router.currentRoute.value.query).toEqual({ q: 'c', state: 'full' })
})
