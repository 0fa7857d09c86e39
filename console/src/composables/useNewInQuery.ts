import { onMounted, watch } from 'vue'

import { useQueryText } from './useQueryState'
import { useSession } from './useSession'

/** useNewInQuery 让 ?new=1 打开新建的抽屉：命令面板与别的页从外面来。打开之后从地址里去掉，刷新不再弹出。 */
export function useNewInQuery(open: () => void): void {
  const asked = useQueryText('new')
  const session = useSession()
  function look(): void {
    if (asked.value !== '1') return
    asked.value = ''
    if (session.can('operator')) open()
  }
  // 抽屉靠开关的变化准备自己，所以等它挂上再开。
  onMounted(look)
  watch(asked, look)
}
