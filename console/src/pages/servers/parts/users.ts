import type { Model } from '@/api/models'

/** User 是用着一个服务器的一个目标；tier 从 1 数起，share 是它在自己那一层里的份额（0 至 1）。 */
export interface User {
  model: string
  upstream_model: string
  tier: number
  share: number
}

/** usersOf 是用着 server 的全部目标。 */
export function usersOf(server: string, models: Model[]): User[] {
  return models.flatMap((m) => {
    const targets = m.targets ?? []
    const priorities = [...new Set(targets.map((x) => x.priority ?? 0))].sort((a, b) => a - b)
    return targets.filter((x) => x.server === server).map((x) => {
      const peers = targets.filter((o) => (o.priority ?? 0) === (x.priority ?? 0))
      const sum = peers.reduce((n, o) => n + (o.weight ?? 1), 0)
      return { model: m.name, upstream_model: x.upstream_model ?? m.name, tier: priorities.indexOf(x.priority ?? 0) + 1, share: sum > 0 ? (x.weight ?? 1) / sum : 0 }
    })
  })
}
