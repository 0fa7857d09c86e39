import { createI18n } from 'vue-i18n'
import { expect, it } from 'vitest'

import type { ExplainedReason } from '@/api/live'
import en from '@/locales/en/models.json'
import zh from '@/locales/zh-CN/models.json'

import { said } from './reasons'

// 每个码一句，带着它的数；码多了一个，类型先不过。
const every: Record<ExplainedReason['code'], Omit<ExplainedReason, 'code'>> = {
  server_disabled: {}, no_weight: {}, upstream_pause: {}, queue_ahead: { count: 7 }, concurrency: { limit: 8 }, requests_per_minute: { limit: 60 },
  tokens_per_minute: { limit: 70 }, ejected: { cause: 'boom' }, last_usable: {}, ejected_by_some: { count: 1, nodes: 3 }, app_disabled: {},
  model_unknown: { model: 'gone' }, models_allowed: { models: ['a*', 'b'] }, budget_exhausted: { until: '2026-01-02T03:04:05Z' },
  fallback: { model: 'first', fallback: 'second' }, app_limit: {}, starts: { servers: ['gpu-1', 'gpu-2'], priority: 0 }, waits_for: { servers: ['gpu-3'] },
  queues_full: {}, none_usable: {}, no_targets: {}, no_leader: {}, leader_learning: {}, no_nodes: {},
}

for (const [locale, models] of Object.entries({ en, 'zh-CN': zh })) {
  it(`${locale}：每个码都有话说，数都在话里`, () => {
    const i18n = createI18n({ legacy: false, locale, messages: { [locale]: models } }).global
    const words = { t: (key: string, params: Record<string, unknown>) => i18n.t(key, params), minute: (at: string) => `at ${at}` }
    for (const [code, figures] of Object.entries(every)) {
      const text = said({ code: code as ExplainedReason['code'], ...figures }, words)
      expect(text).not.toContain(`models.reason`)
      expect(text).not.toMatch(/[{}]/)
      for (const [name, figure] of Object.entries(figures)) {
        if (name !== 'priority') for (const one of [figure].flat()) expect(text).toContain(String(one))
      }
    }
    expect(said({ code: 'starts', servers: ['gpu-1', 'gpu-2'], priority: 0 }, words)).toContain(`gpu-1${i18n.t('models.explain.or')}gpu-2`)
  })
}
