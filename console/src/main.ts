import 'element-plus/dist/index.css'
import 'element-plus/theme-chalk/dark/css-vars.css'
import './styles/tokens.css'
import './styles/base.css'

import { PiniaColada } from '@pinia/colada'
import { createPinia } from 'pinia'
import { createApp } from 'vue'

import App from './App.vue'
import { i18n, prepareLocale } from './locales'
import { router } from './router'

// 文字与「是谁、哪一页」一起去取：装上路由就走头一次导航，文字到了才画。
const texts = prepareLocale()
const app = createApp(App).use(createPinia()).use(PiniaColada, { queryOptions: { staleTime: 5_000 } }).use(i18n).use(router)
await texts
app.mount('#app')
