import type { Node } from '@/api/live'

/** Standing 是一个节点相对于头的处境；away 即没有连着，它那一版没有谁在等。 */
export interface Standing {
  kind: 'current' | 'behind' | 'rejected' | 'fresh' | 'away'
  tone: 'ok' | 'warn' | 'bad' | 'off'
}

/** standing 说一个节点有没有换上 head。 */
export function standing(n: Node, head: number): Standing {
  if (!n.connected) return { kind: n.applied_revision === head ? 'current' : 'away', tone: 'off' }
  if (n.applied_revision >= head) return { kind: 'current', tone: 'ok' }
  if (n.rejected_revision === head) return { kind: 'rejected', tone: 'bad' }
  return { kind: n.applied_revision === 0 ? 'fresh' : 'behind', tone: 'warn' }
}

type Say = (key: string, named: Record<string, unknown>) => string

const units = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
] as const

/** span 是从 from 到 now 的时长，只说最大的两级；缺席为 –。 */
export function span(t: Say, from: string | undefined, now: number): string {
  if (!from) return '–'
  let rest = Math.max(0, Math.floor((now - new Date(from).getTime()) / 1000))
  const parts: string[] = []
  for (const [unit, size] of units) {
    const n = Math.floor(rest / size)
    rest -= n * size
    if (n > 0 || (unit === 'second' && parts.length === 0)) parts.push(t(`nodes.kind.${unit}`, { n }))
    if (parts.length === 2 || (parts.length === 1 && n === 0)) break
  }
  return parts.join(' ')
}
