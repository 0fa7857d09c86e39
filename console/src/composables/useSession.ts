import { defineStore } from 'pinia'
import { computed, ref } from 'vue'

import type { Problem } from '@/api/problem'
import { currentIdentity, type Identity, type Role, signIn, signOut, whenUnauthenticated } from '@/api/session'

const rank: Record<Role, number> = { viewer: 0, operator: 1, admin: 2 }

/** useSession 是登录着的人与他能做什么；API 自己会拒绝，这里只是不把做不了的给人看。 */
export const useSession = defineStore('session', () => {
  const identity = ref<Identity | null>(null)
  const known = ref(false)
  /** ended 在会话被收回或过期之后为真，直到重新登录：登录页因此说得出为什么。 */
  const ended = ref(false)

  const role = computed(() => identity.value?.role ?? null)
  const mustChangePassword = computed(() => identity.value?.must_change_password ?? false)

  /** load 问一次是谁；之后只在登录与注销时变。 */
  async function load(): Promise<void> {
    if (known.value) return
    identity.value = await currentIdentity()
    known.value = true
  }

  async function enter(name: string, password: string): Promise<void> {
    identity.value = await signIn(name, password)
    known.value = true
    ended.value = false
  }

  async function leave(): Promise<void> {
    await signOut()
    identity.value = null
  }

  /** reload 再问一次：换了口令之后，会话的样子变了。 */
  async function reload(): Promise<void> {
    identity.value = await currentIdentity()
    known.value = true
  }

  function can(least: Role): boolean {
    return role.value !== null && rank[role.value] >= rank[least]
  }

  /** onLost 登记会话没有了之后去哪里。 */
  function onLost(go: (p: Problem) => void): void {
    whenUnauthenticated((p) => {
      if (identity.value === null) return
      identity.value = null
      ended.value = true
      go(p)
    })
  }

  return { identity, known, ended, role, mustChangePassword, load, reload, enter, leave, can, onLost }
})
