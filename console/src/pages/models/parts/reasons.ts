import type { ExplainedReason } from '@/api/live'

/** Words 是说一句话要的：文字、时刻的写法。 */
export interface Words {
  t: (key: string, params: Record<string, unknown>) => string
  minute: (at: string) => string
}

/** said 以读者的语言说一句缘由。 */
export function said(r: ExplainedReason, { t, minute }: Words): string {
  const { code, servers, models, until, ...figures } = r
  return t(`models.reason.${code}`, {
    ...figures,
    servers: (servers ?? []).join(t('models.explain.or', {})),
    models: (models ?? []).join(', '),
    time: until ? minute(until) : '',
  })
}
