/** Line 是一条线：points 是 [毫秒时刻, 值]，null 是没有观察。color 缺席按次序取。 */
export interface Line {
  name: string
  points: [number, number | null][]
  color?: string
}

/** palette 是两种主题下都分得清、色觉异常的人也分得清的一组颜色（Okabe–Ito 调过亮度）。 */
export const palette = {
  light: ['#2f5bd8', '#c2570c', '#0f8a6d', '#8a3fb0', '#a47400', '#0b7fab', '#b52a6b', '#5f6b7a', '#4d7c0f', '#7c5cff'],
  dark: ['#7d9dff', '#f0935a', '#4cc3a0', '#c58be6', '#e0b64a', '#5bbfe6', '#f07bb0', '#a3b0c4', '#a3cc5a', '#b3a1ff'],
}
