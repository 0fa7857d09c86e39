import { useQuery, useQueryCache } from '@pinia/colada'
import { useI18n } from 'vue-i18n'

import { createServer, deleteServer, getServer, listServers, putServer, type Server, type ServerInput } from '@/api/servers'

import { useProblem } from './useProblem'
import { useSaved } from './useSaved'

/** useServers 是全部后端服务器。 */
export function useServers() {
  return useQuery({ key: ['servers'], query: listServers })
}

/** useServer 是一个后端服务器与它的 ETag。 */
export function useServer(name: () => string) {
  return useQuery({ key: () => ['servers', name()], query: () => getServer(name()) })
}

/** useServerWrites 是对后端服务器的写：写完宣布，让读过的都重读。 */
export function useServerWrites() {
  const { t } = useI18n()
  const cache = useQueryCache()
  const saved = useSaved()
  const { toast } = useProblem()
  // 重读失败由读它的那处自己说；删掉的不再读它自己。
  const reread = (exact = false) => void cache.invalidateQueries({ key: ['servers'], exact }).catch(() => undefined)

  async function create(input: ServerInput): Promise<void> {
    const w = await createServer(input)
    saved.announce(t('servers.saved.created', { name: input.name }), w.revision)
    reread()
  }

  async function replace(input: ServerInput, etag: string): Promise<void> {
    const w = await putServer(input, etag)
    saved.announce(t('servers.saved.changed', { name: input.name }), w.revision)
    reread()
  }

  async function remove(name: string): Promise<void> {
    const w = await deleteServer(name)
    saved.announce(t('servers.saved.deleted', { name }), w.revision)
    reread(true)
  }

  /** turn 启用或停用；现读现写带 ETag，撤销就是再写回去。 */
  async function turn(name: string, enabled: boolean, undoable = true): Promise<void> {
    const { data, etag } = await getServer(name)
    const w = await putServer({ ...data, enabled }, etag)
    const text = enabled ? t('servers.saved.enabled', { name }) : t('servers.saved.disabled', { name })
    saved.announce(text, w.revision, undoable ? () => turn(name, !enabled, false) : undefined)
    reread()
  }

  /** tryTurn 同 turn，失败写成一条消息。 */
  async function tryTurn(s: Pick<Server, 'name' | 'enabled'>): Promise<void> {
    await turn(s.name, !s.enabled).catch(toast)
  }

  return { create, read: getServer, replace, remove, tryTurn }
}
