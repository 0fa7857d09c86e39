import { useI18n } from 'vue-i18n'

import type { UsageRow } from '@/api/usage'

import type { Dimension } from './query'

/** useLabels 给各组名字：空的维度也有意思（没有到达服务器、凭证无效），不能写成空白。 */
export function useLabels() {
  const { t } = useI18n()

  function cell(row: UsageRow, d: Dimension): string {
    const v = row[d]
    if (row.other) return t('usage.other')
    if (d === 'source' && v) return t(`usage.source.${v}`)
    return v || t(`usage.state.no_${d}`)
  }

  const rowLabel = (row: UsageRow, by: Dimension[]) => (row.other ? t('usage.other') : by.map((d) => cell(row, d)).join(' · '))
  return { cell, rowLabel }
}
