import type { OverviewProblem } from '@/api/live'

/** causeOf 是一处不对该到哪里看；认不得的种类为空。 */
export function causeOf(p: OverviewProblem): string {
  const name = (s: string | undefined) => encodeURIComponent(s ?? '')
  switch (p.kind) {
    case 'no_nodes':
      return '/nodes'
    case 'node_away':
    case 'node_behind':
    case 'node_rejected':
    case 'node_journal':
      return `/nodes?node=${name(p.node)}`
    case 'target_ejected':
    case 'target_paused':
      return `/servers/${name(p.server)}`
    case 'server_queue':
      return `/queues?server=${name(p.server)}`
    case 'budget_warning':
    case 'budget_exhausted':
      return `/apps/${name(p.app)}`
    case 'accuracy':
    case 'usage_lost':
      return '/usage'
    case 'no_leader':
      return '/queues'
    default:
      return ''
  }
}

/** wordedBy 是自己的句子说不全、缘由只在 API 的英文里的那几种：连它一起给人看。 */
const wordedBy = new Set<string>(['node_rejected', 'node_journal', 'target_ejected', 'no_leader'])

/** reasonOf 是写在句子下面的缘由；句子已经说全的为空。 */
export function reasonOf(p: OverviewProblem): string {
  return wordedBy.has(p.kind) ? p.detail : ''
}

/** identity 是列表里的键：同一处不对变了数还是同一处。 */
export function identity(p: OverviewProblem): string {
  return [p.kind, p.node, p.server, p.upstream_model, p.app].join(' ')
}
