import { useQuery, useQueryCache } from '@pinia/colada'
import { useI18n } from 'vue-i18n'

import { createKey, type CreatedKey, expireKey, type KeyRotation, listKeys, revokeKey, rotateKey, type RotatedKey } from '@/api/keys'

import { useSaved } from './useSaved'

export function useKeys(app: () => string) {
  return useQuery({ key: () => ['apps', app(), 'keys'], query: () => listKeys(app()) })
}

/** useKeyWrites 是对一个应用的密钥的写；明文只交给叫的人，不进任何缓存。 */
export function useKeyWrites(app: () => string) {
  const { t } = useI18n()
  const cache = useQueryCache()
  const saved = useSaved()
  // 重读失败了由各自的查询说，这里不再说一遍。
  const reread = () => void cache.invalidateQueries({ key: ['apps'] }).catch(() => {})

  async function create(name: string, expires: string | null): Promise<CreatedKey> {
    const w = await createKey(app(), name, expires)
    saved.announce(t('apps.saved.keyCreated', { name }), w.revision)
    reread()
    return w.data
  }

  async function rotate(key: string, how: KeyRotation): Promise<RotatedKey> {
    const w = await rotateKey(app(), key, how)
    saved.announce(t('apps.saved.keyRotated', { from: key, to: how.name }), w.revision)
    reread()
    return w.data
  }

  async function expire(key: string, expires: string | null): Promise<void> {
    const w = await expireKey(app(), key, expires)
    saved.announce(t('apps.saved.keyChanged', { name: key }), w.revision)
    reread()
  }

  /** revoke 给出撤销所在的版本，好等每个节点确认。 */
  async function revoke(key: string): Promise<number> {
    const w = await revokeKey(app(), key)
    saved.announce(t('apps.saved.keyRevoked', { name: key }), w.revision)
    reread()
    return w.revision
  }

  return { create, rotate, expire, revoke }
}
