import { useQueryCache } from '@pinia/colada'
import { defineStore } from 'pinia'
import { computed, ref } from 'vue'

import { asProblem, Problem } from '@/api/problem'
import { changePassword, currentIdentity, type Identity, type Role, signIn, signOut, whenUnauthenticated } from '@/api/session'

const rank: Record<Role, number> = { viewer: 0, operator: 1, admin: 2 }

// 会话的 cookie 脚本看不见；这个记号说登录过（yes）、去了提供方（maybe）或会话没有了（ended）：
// 头两样才值得去问是谁，末一样刷新之后还说得出为什么要重新登录。
const hint = 'vega.signed-in'

/** useSession 是登录着的人与他能做什么；API 自己会拒绝，这里只是不把做不了的给人看。 */
export const useSession = defineStore('session', () => {
  const queries = useQueryCache()
  const identity = ref<Identity | null>(null)
  const known = ref(false)
  let lost: (p: Problem) => void = () => {}
  /** ended 在会话被收回或过期之后为真，直到重新登录：登录页因此说得出为什么。 */
  const ended = ref(false)

  const role = computed(() => identity.value?.role ?? null)
  const mustChangePassword = computed(() => identity.value?.must_change_password ?? false)

  function settle(who: Identity | null): void {
    const before = identity.value
    identity.value = who
    known.value = true
    if (who) localStorage.setItem(hint, 'yes')
    else localStorage.removeItem(hint)
    // 这个标签页里替上一个人记着的（试用的密钥）不留给下一个人，哪怕他没有打开过那一页。
    if (!who || (before && before.name !== who.name)) sessionStorage.clear()
  }

  /** load 问一次是谁；之后只在登录与注销时变。 */
  async function load(): Promise<void> {
    if (known.value) return
    const before = localStorage.getItem(hint)
    settle(before === 'yes' || before === 'maybe' ? await currentIdentity() : null)
    if (identity.value === null && (before === 'yes' || before === 'ended')) lose()
  }

  function lose(): void {
    settle(null)
    ended.value = true
    localStorage.setItem(hint, 'ended')
  }

  async function enter(name: string, password: string): Promise<void> {
    welcome(await signIn(name, password))
    forget()
  }

  /** renew 换掉自己的口令；会话随之换了一个。 */
  async function renew(current: string, next: string): Promise<void> {
    welcome(await changePassword(current, next))
  }

  function welcome(who: Identity): void {
    settle(who)
    ended.value = false
  }

  async function leave(): Promise<void> {
    // 会话早已没有了：要做的事已经做完，不能因此退不出去。
    await signOut().catch((e: unknown) => { if (asProblem(e).status !== 401) throw e })
    settle(null)
  }

  /** outward 是要去提供方登录：回来时已经有了会话，得记得去问。 */
  function outward(): void {
    localStorage.setItem(hint, 'maybe')
  }

  /** forget 扔掉取来的一切：下一个登录的人不该看见上一个人的。 */
  function forget(): void {
    for (const entry of queries.getEntries()) if (!entry.active) queries.remove(entry)
  }

  function can(least: Role): boolean {
    return role.value !== null && rank[role.value] >= rank[least]
  }

  /**
   * refresh 再问一次是谁：角色可以被改，别的标签页可以换一个人登录，cookie 是大家的。
   * 换了人，眼前的都重新取；没有会话了就去 onLost 说的地方；问不到就当没有变。
   */
  async function refresh(): Promise<void> {
    if (identity.value === null) return
    const was = identity.value
    const who = await currentIdentity().catch(() => was)
    if (identity.value !== was || who === was) return
    if (who === null) { lost(new Problem({ status: 401, code: 'unauthenticated', detail: 'the session has ended' })); return }
    settle(who)
    if (who.name !== was.name || who.role !== was.role) queries.invalidateQueries().catch(() => {})
  }

  /** onLost 登记会话没有了之后去哪里。 */
  function onLost(go: (p: Problem) => void): void {
    lost = (p) => {
      if (identity.value === null) return
      lose()
      go(p)
    }
    whenUnauthenticated((p) => lost(p))
  }

  return { identity, known, ended, role, mustChangePassword, load, enter, renew, leave, refresh, outward, can, onLost }
})
