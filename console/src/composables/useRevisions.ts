import { useQuery, useQueryCache } from '@pinia/colada'
import { useI18n } from 'vue-i18n'

import { type Applying, type ChangeResult, type Document, exportConfig, importConfig } from '@/api/config'
import type { Written } from '@/api/revisions'
import { diffRevisions, getRevision, listRevisions, rollback } from '@/api/revisions'

import { useSaved } from './useSaved'

/** useRevisionPage 是一页配置版本；cursor 为空即最新的一页。 */
export function useRevisionPage(cursor: () => string) {
  return useQuery({ key: () => ['revisions', 'page', cursor()], query: () => listRevisions(cursor()) })
}

export function useRevision(revision: () => number) {
  return useQuery({ key: () => ['revisions', revision()], query: () => getRevision(revision()), staleTime: 600_000 })
}

/** useRevisionDiff 是两版之间的变化；版本不会变，取来就留着。 */
export function useRevisionDiff(from: () => number, to: () => number) {
  return useQuery({ key: () => ['revisions', 'diff', from(), to()], query: () => diffRevisions(from(), to()), staleTime: 600_000 })
}

/** useConfigWrites 是对整份配置的写：回滚与导入；试算不写，也不宣布。 */
export function useConfigWrites() {
  const { t } = useI18n()
  const cache = useQueryCache()
  const saved = useSaved()

  // 整份配置都可能变了：读过的全部重读。
  function announce(text: string, w: Written<ChangeResult>): void {
    saved.announce(text, w.revision)
    cache.invalidateQueries().catch(() => {})
  }

  async function restore(revision: number, note: string, etag: string): Promise<void> {
    announce(t('revisions.saved.rolledBack', { revision }), await rollback(revision, { note, etag }))
  }

  async function apply(document: Document, how: Omit<Applying, 'dryRun'>): Promise<ChangeResult> {
    const w = await importConfig(document, how)
    announce(t('revisions.saved.imported'), w)
    return w.data
  }

  return {
    read: exportConfig,
    previewRollback: (revision: number) => rollback(revision, { dryRun: true }),
    previewImport: (document: Document, prune: boolean) => importConfig(document, { dryRun: true, prune }),
    restore,
    apply,
  }
}
