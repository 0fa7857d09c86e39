import { computed, ref } from 'vue'

import type { AuditFilter } from '@/api/audit'

import { useFormat } from './useFormat'
import { useQueryText } from './useQueryState'
import { zonedInstant } from './zonedTime'

/** auditRanges 是预备的时间：名字与毫秒；custom 由 from、to 说。 */
export const auditRanges = { '1h': 3_600_000, '24h': 86_400_000, '7d': 7 * 86_400_000, '30d': 30 * 86_400_000 } as const

/** useAuditFilter 是审计的条件，全在地址里，因此可以分享；from、to 是设置的时区里墙上的时刻。 */
export function useAuditFilter() {
  const { zone } = useFormat()
  const fields = { actor: useQueryText('actor'), action: useQueryText('action'), object: useQueryText('object'), address: useQueryText('address'), range: useQueryText('range', 'all'), from: useQueryText('from'), to: useQueryText('to') }

  // 「最近」从选它、或要求重新取的那一刻算起：接着取更旧的一页时起点不能移动。
  const renewed = ref(0)
  const since = computed(() => {
    void renewed.value
    const ms = auditRanges[fields.range.value as keyof typeof auditRanges]
    return ms ? new Date(Date.now() - ms).toISOString() : ''
  })
  const custom = computed(() => fields.range.value === 'custom')
  const filter = computed<AuditFilter>(() => ({
    actor: fields.actor.value, action: fields.action.value, object: fields.object.value, address: fields.address.value,
    from: custom.value ? zonedInstant(fields.from.value, zone.value) : since.value,
    to: custom.value ? zonedInstant(fields.to.value, zone.value) : '',
  }))
  const narrowed = computed(() => Object.values(filter.value).some((v) => v !== ''))
  const renew = () => { renewed.value++ }
  return { renew, fields, filter, custom, narrowed }
}
