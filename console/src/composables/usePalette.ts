import { defineStore } from 'pinia'
import { ref } from 'vue'

/** usePalette 是搜索的面板开着没有：顶栏、快捷键与页面都能叫它。 */
export const usePalette = defineStore('palette', () => ({ open: ref(false) }))
