import { reactive } from 'vue'

import { testServer } from '@/api/servers'

/** useUpstreamModels 是各服务器自报的模型名，要到时才问，一个服务器只问一次；连不上就没有可提示的。 */
export function useUpstreamModels() {
  const known = reactive(new Map<string, string[]>())

  async function ask(server: string): Promise<void> {
    if (server === '' || known.has(server)) return
    known.set(server, [])
    const r = await testServer(server).catch(() => null)
    if (r?.ok) known.set(server, r.models)
  }

  return { ask, of: (server: string) => known.get(server) ?? [] }
}
