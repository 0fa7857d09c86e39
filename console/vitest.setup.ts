import { vi } from 'vitest'
import { defineComponent, h } from 'vue'

// ECharts 要真的画布，happy-dom 没有；而且按名字替换组件在 script setup 里不起作用，只能换掉整个模块。
// 每个用例都用得着，写用例的人什么也不必做：图在那里是 <div data-testid="chart">，
// 它的 option 由 wrapper.findComponent({ name: 'VChart' }).props('option') 看。真的图在浏览器测试里看。
vi.mock('vue-echarts', () => ({
  default: defineComponent({
    name: 'VChart',
    props: { option: { type: Object, default: undefined }, theme: { type: [String, Object], default: undefined }, autoresize: { type: [Boolean, Object], default: false }, loading: Boolean },
    setup: () => () => h('div', { 'data-testid': 'chart' }),
  }),
  THEME_KEY: Symbol('theme'),
  INIT_OPTIONS_KEY: Symbol('init'),
  UPDATE_OPTIONS_KEY: Symbol('update'),
}))
