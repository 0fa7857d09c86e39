import { useMutation, useQuery, useQueryCache } from '@pinia/colada'
import { toValue, type MaybeRefOrGetter } from 'vue'

import { createOperator, deleteOperator, etagOf, type Operator, operators, type OperatorUpdate, putOperator, resetPassword } from '@/api/operators'
import { endOtherSessions, endSession, sessions } from '@/api/session'
import { createToken, revokeToken, tokens } from '@/api/tokens'

/** useSessions 是活着的会话：自己的，或所有人的。 */
export function useSessions(all: boolean) {
  return useQuery({ key: ['sessions', { all }], query: () => sessions(all), refetchOnWindowFocus: true })
}

/** useEndSession 结束会话；哪一份名单都可能变了。 */
export function useEndSession() {
  const cache = useQueryCache()
  const onSettled = () => cache.invalidateQueries({ key: ['sessions'] })
  return {
    one: useMutation({ mutation: (id: string) => endSession(id), onSettled }),
    others: useMutation({ mutation: () => endOtherSessions(), onSettled }),
  }
}

/** useOperators 是全部操作员；只有管理员问得到。 */
export function useOperators() {
  return useQuery({ key: ['operators'], query: operators, refetchOnWindowFocus: true })
}

/** useOperatorWrites 是对操作员的写；删去与停用也动会话与令牌。 */
export function useOperatorWrites() {
  const cache = useQueryCache()
  const onSettled = async () => {
    await Promise.all(['operators', 'sessions', 'tokens'].map((k) => cache.invalidateQueries({ key: [k] })))
  }
  return {
    create: useMutation({ mutation: createOperator, onSettled }),
    update: useMutation({ mutation: (v: { name: string; to: OperatorUpdate; etag: string }) => putOperator(v.name, v.to, v.etag), onSettled }),
    remove: useMutation({ mutation: (o: Operator) => deleteOperator(o.name, etagOf(o)), onSettled }),
    reset: useMutation({ mutation: (o: Operator) => resetPassword(o.name), onSettled }),
  }
}

/** useTokens 是令牌：自己的，或全部。 */
export function useTokens(all: MaybeRefOrGetter<boolean>) {
  return useQuery({ key: () => ['tokens', { all: toValue(all) }], query: () => tokens(toValue(all)), refetchOnWindowFocus: true })
}

/** useTokenWrites 是对令牌的写。 */
export function useTokenWrites() {
  const cache = useQueryCache()
  const onSettled = () => cache.invalidateQueries({ key: ['tokens'] })
  return {
    create: useMutation({ mutation: createToken, onSettled }),
    revoke: useMutation({ mutation: (id: string) => revokeToken(id), onSettled }),
  }
}
