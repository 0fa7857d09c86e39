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

await prepareLocale()
createApp(App).use(createPinia()).use(PiniaColada, { queryOptions: { staleTime: 5_000 } }).use(i18n).use(router).mount('#app')
