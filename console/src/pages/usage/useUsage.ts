import { useQuery } from '@pinia/colada'
import { computed, type ComputedRef } from 'vue'
import { useRoute, useRouter } from 'vue-router'

import { names, usage, type UsageReport } from '@/api/usage'
import { validZone } from '@/components/time/zone'
import { useAbout } from '@/composables/useAbout'

import { fromURL, type Interval, intervalOf, paramsOf, span, toURL, type UsageView } from './query'

/** Answer 是一份回答与问它的那句话：下载与 curl 因此与眼前的数出自同一句。 */
export interface Answer {
  report: UsageReport
  params: URLSearchParams
  interval: Interval
}

/** useUsageView 是地址里的查询；每改一次是一步，后退回得去。 */
export function useUsageView() {
  const route = useRoute()
  const router = useRouter()
  const about = useAbout()
  const view = computed(() => fromURL(route.query))
  const home = computed(() => {
    const set = about.data.value?.time_zone ?? (about.error.value ? 'UTC' : '')
    return set && !validZone(set) ? 'UTC' : set
  })
  /** zone 是算数用的时区；还不知道设置里的是哪个时为空。 */
  const zone = computed(() => (validZone(view.value.zone) ? view.value.zone : home.value))
  const change = (patch: Partial<UsageView>) => void router.push({ query: toURL({ ...view.value, ...patch }) })
  return { view, zone, home, change }
}

/** useUsage 问一份用量；rows 为 time 是按时间桶的，total 是整段合计的。 */
export function useUsage(view: ComputedRef<UsageView>, zone: ComputedRef<string>, rows: UsageView['rows'], enabled: () => boolean = () => true) {
  // 换一栏来排、换一种表不必再问。
  const asked = computed(() => new URLSearchParams(Object.entries(toURL({ ...view.value, sort: '', rows: 'total', top: rows === 'time' ? view.value.top : 8, interval: rows === 'time' ? view.value.interval : 'auto' })).flatMap(([k, v]) => [v].flat().map((x) => [k, x]))).toString())
  return useQuery({
    key: () => ['usage', rows, zone.value, asked.value],
    query: async ({ signal }): Promise<Answer> => {
      const v = view.value
      const now = Date.now()
      const params = paramsOf(v, zone.value, now, rows)
      const interval = intervalOf(v, span(v, zone.value, now), now)
      return { report: await usage(params, signal), params, interval }
    },
    enabled: () => zone.value !== '' && enabled(),
    placeholderData: (before: Answer | undefined) => before,
    staleTime: 5000,
  })
}

/** useNames 是筛选里选得到的名字。 */
export function useNames() {
  return useQuery({ key: ['usage-names'], query: names, staleTime: 30_000 })
}
