import type { Attempt, Request } from '@/api/requests'

/** Step 是时间轴上的一段，毫秒，从到达算起。 */
export type Step = { kind: 'queue'; from: number; to: number } | { kind: 'attempt'; from: number; to: number; attempt: Attempt }

/** Story 是一个请求按比例画出来的样子；total 是轴的长度。 */
export interface Story {
  total: number
  steps: Step[]
  firstByte: number | null
}

/**
 * storyOf 把记下来的长短排成一条轴。记录里有排队与每次调用的长短，没有每次调用的起点：
 * 它们依次发生，最后一次结束时请求也就结束；没有记在谁名下的时间，一次调用的放在它之前（校验与选路），几次的均分在两次之间（重试前的等待）。
 */
export function storyOf(r: Request): Story {
  const spent = r.queue_ms + r.attempts.reduce((n, a) => n + a.duration_ms, 0)
  const total = Math.max(r.duration_ms, spent, 0.001)
  const idle = total - spent
  const n = r.attempts.length
  const steps: Step[] = []
  if (r.queue_ms > 0) steps.push({ kind: 'queue', from: 0, to: r.queue_ms })
  let at = r.queue_ms + (n === 1 ? idle : 0)
  for (const attempt of r.attempts) {
    steps.push({ kind: 'attempt', from: at, to: at + attempt.duration_ms, attempt })
    at += attempt.duration_ms + (n > 1 ? idle / (n - 1) : 0)
  }
  return { total, steps, firstByte: r.first_byte_ms }
}

/** ticksOf 是轴上的刻度，毫秒：整的步长，四到八格。 */
export function ticksOf(total: number): number[] {
  const rough = total / 5
  const unit = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map((m) => m * unit).find((s) => s >= rough) ?? 10 * unit
  return Array.from({ length: Math.floor(total / step + 1e-9) + 1 }, (_, i) => i * step)
}
