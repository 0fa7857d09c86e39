import { defineStore } from 'pinia'
import { ref, watch } from 'vue'

import { useSession } from './useSession'

/** Saved 是刚写成的一版：右下角一张卡片，跟着它到每个节点。 */
export interface Saved {
  id: number
  /** text 已经是界面的语言。 */
  text: string
  /** revision 为 0 即没有动配置（操作员、令牌、设置）：卡片不等节点。 */
  revision: number
  /** undo 便宜时才给；叫过之后卡片收走。 */
  undo?: () => Promise<void>
}

/** useSaved 是右下角的卡片们。 */
export const useSaved = defineStore('saved', () => {
  const cards = ref<Saved[]>([])
  let next = 1

  function announce(text: string, revision = 0, undo?: () => Promise<void>): void {
    cards.value = [...cards.value.slice(-3), { id: next++, text, revision, undo }]
  }

  function dismiss(id: number): void {
    cards.value = cards.value.filter((c) => c.id !== id)
  }

  // 上一个人的撤销不许由下一个登录的人来按。
  const session = useSession()
  watch(() => session.identity?.name, () => { cards.value = [] })

  return { cards, announce, dismiss }
})
