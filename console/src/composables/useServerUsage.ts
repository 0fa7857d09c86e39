import { useQuery } from '@pinia/colada'
import { computed, onScopeDispose } from 'vue'

import { history, lastMinute, type UsageReport } from '@/api/upstream'

const everyMs = 10_000

/** Rates 是每分钟的请求与 token（输入加输出）。 */
export interface Rates {
  requests: number
  tokens: number
}

/** ratesOf 把窗口里的数折成每分钟；窗口按分钟取整，长一分钟到两分钟。 */
export function ratesOf(report: UsageReport): Map<string, Rates> {
  const minutes = Math.max(1, (Date.parse(report.accuracy.as_of) - Date.parse(report.from)) / 60_000)
  return new Map(report.rows.map((r) => [r.server ?? '', { requests: r.attempts / minutes, tokens: (r.prompt_tokens + r.completion_tokens) / minutes }]))
}

function again(refetch: () => Promise<unknown>) {
  const timer = setInterval(() => void refetch(), everyMs)
  onScopeDispose(() => clearInterval(timer))
}

/** useServerRates 是各服务器此刻的速率，每 10 秒一次；没有行的服务器速率为零。 */
export function useServerRates() {
  const { data, refetch } = useQuery({ key: ['server-rates'], query: () => lastMinute() })
  again(refetch)
  const rates = computed(() => (data.value ? ratesOf(data.value) : null))
  return (server: string): Rates | null => (rates.value ? (rates.value.get(server) ?? { requests: 0, tokens: 0 }) : null)
}

/** useServerHistory 是一个服务器的历史：最近一小时按分钟，最近一天按小时。 */
export function useServerHistory(server: () => string, span: () => 'hour' | 'day') {
  const query = useQuery({
    key: () => ['server-history', server(), span()],
    query: () => (span() === 'hour' ? history(server(), 1, 'minute') : history(server(), 24, 'hour')),
  })
  again(query.refetch)
  return query
}
