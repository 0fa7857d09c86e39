import { audit, type AuditChange } from './audit'
import { listRevisions, type Revision } from './revisions'

/** Change 是抢先的那次改动；查不出是谁时 actor 为空。changes 是改了什么，只有问得到审计的才有。 */
export interface Change {
  actor: string
  at: string
  summary: string
  changes: AuditChange[]
}

export type ConfigKind = 'server' | 'model' | 'app'

/**
 * writerOf 在由新到旧的配置版本里找最近动过一个对象的一版；太久以前的不找。
 * 摘要只列前几个名字，省略了的那版也许就是它：说不准是谁，就不说。
 */
export function writerOf(revisions: Revision[], kind: ConfigKind, name: string): Revision | null {
  for (const r of revisions) {
    const objects = (r.summary ?? '').replace(/^[^:]*:\s*/, '').split(', ')
    if (objects.includes(`${kind} ${name}`)) return r
    if (objects.includes('…')) return null
  }
  return null
}

/** lastWritten 是配置里最近一次动过这个对象的。 */
export async function lastWritten(kind: ConfigKind, name: string): Promise<Change | null> {
  const r = writerOf((await listRevisions('', 20)).items, kind, name)
  return r && { actor: r.actor, at: r.created_at, summary: r.summary ?? '', changes: [] }
}

/** lastAudited 是审计里最近一次动过这个对象的；action 是动作的组。 */
export async function lastAudited(action: string, object: string): Promise<Change | null> {
  const { items } = await audit({ action, object }, '', 20)
  const e = items.find((x) => x.object === object)
  return e ? { actor: e.actor, at: e.at, summary: '', changes: e.changes } : null
}
