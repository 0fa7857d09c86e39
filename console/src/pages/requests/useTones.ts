import { useI18n } from 'vue-i18n'

import type { Outcome, Request } from '@/api/requests'

const tones: Record<Outcome, 'ok' | 'warn' | 'bad' | 'off' | 'info'> = { ok: 'ok', client_error: 'warn', limited: 'warn', upstream_error: 'bad', gateway_error: 'bad', aborted: 'off', unknown: 'info' }

/** useTones 给下场、来源与密钥写出人话。 */
export function useTones() {
  const { t } = useI18n()
  const tone = (o: Outcome) => tones[o]
  const outcome = (o: Outcome) => t(`requests.outcome.${o}`)
  // 空的来源是上游以错误作答：没有 token 可言。
  const source = (s: string) => t(`requests.source.${s || 'none'}`)
  const key = (r: Request) => r.key_name ?? r.key_id
  return { tone, outcome, source, key }
}
