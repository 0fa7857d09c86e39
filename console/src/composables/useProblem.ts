import { ElMessage } from 'element-plus'
import { useI18n } from 'vue-i18n'

import { asProblem, fieldErrors } from '@/api/problem'

/** useProblem 把失败说成人话：先看 reason，再看 code；API 的英文句子是细节，不是标题。 */
export function useProblem() {
  const { t, te } = useI18n()

  function text(e: unknown): string {
    const p = asProblem(e)
    for (const key of [`error.reason.${p.reason}`, `error.${p.code}`]) {
      if (te(key)) return t(key, { seconds: p.retryAfterSeconds })
    }
    return p.message
  }

  /** toast 给没有自己位置的失败（一个开关、一次删除）：一条消息，连同 API 说的细节。 */
  function toast(e: unknown): void {
    const p = asProblem(e)
    const said = text(p)
    ElMessage({ type: 'error', message: p.message && p.message !== said ? `${said}（${p.message}）` : said, duration: 8000, showClose: true, grouping: true })
  }

  return { text, toast, fields: fieldErrors }
}
