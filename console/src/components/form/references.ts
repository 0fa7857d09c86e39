import type { RouteLocationRaw } from 'vue-router'

/** userOf 由 models[chat].targets[0].server 这样的路径给出引用者的页；认不得的给 null。 */
export function userOf(path: string): RouteLocationRaw | null {
  const found = /^(model|app)s\[(.+?)\](?:\.|$)/.exec(path)
  if (!found) return null
  return { path: `/${found[1]}s/${encodeURIComponent(found[2]!)}` }
}
