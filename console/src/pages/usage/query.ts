import { instantText, parseInstant, type Preset, presets, type Span, spanOf } from '@/components/time/range'

export const dimensions = ['server', 'app', 'model', 'served_model', 'source', 'code'] as const
export type Dimension = (typeof dimensions)[number]
export const intervals = ['auto', 'minute', 'hour', 'day'] as const
export const metrics = ['requests', 'tokens', 'prompt_tokens', 'completion_tokens', 'cost', 'errors', 'first_byte'] as const
export type Metric = (typeof metrics)[number]
export type Interval = 'minute' | 'hour' | 'day'
export const tops = [5, 8, 20, 50] as const

/** UsageView 是页面上选好的一切；地址里写的就是它，所以可以分享。zone 为空即设置里的时区。 */
export interface UsageView {
  range: Preset
  from: number | null
  to: number | null
  zone: string
  interval: (typeof intervals)[number]
  by: Dimension[]
  server: string[]
  app: string[]
  model: string[]
  metric: Metric
  top: number
  rows: 'total' | 'time'
  /** sort 是表按哪一栏排，- 开头是由大到小；空是 API 的次序。 */
  sort: string
}

export const usual: UsageView = { range: '24h', from: null, to: null, zone: '', interval: 'auto', by: ['app'], server: [], app: [], model: [], metric: 'requests', top: 8, rows: 'total', sort: '' }

type Query = Record<string, string | null | (string | null)[] | undefined>
type Flat = Record<string, string | string[]>

const list = (v: Query[string]) => (v === undefined ? [] : Array.isArray(v) ? v : [v]).filter((s): s is string => s !== null)
const one = <T extends string>(v: Query[string], allowed: readonly T[], fallback: T): T => allowed.find((a) => a === list(v)[0]) ?? fallback

/** fromURL 读地址；读不懂的一项是缺省，不是错。 */
export function fromURL(q: Query): UsageView {
  const by = q.by === undefined ? usual.by : dimensions.filter((d) => list(q.by).join(',').split(',').includes(d)).slice(0, 3)
  return {
    range: one(q.range, presets, usual.range),
    from: parseInstant(list(q.from)[0] ?? ''), to: parseInstant(list(q.to)[0] ?? ''),
    zone: list(q.tz)[0] ?? '',
    interval: one(q.interval, intervals, usual.interval),
    by, server: list(q.server), app: list(q.app), model: list(q.model),
    metric: one(q.metric, metrics, usual.metric),
    top: tops.find((n) => String(n) === list(q.top)[0]) ?? usual.top,
    rows: one(q.rows, ['total', 'time'] as const, usual.rows),
    sort: list(q.sort)[0] ?? '',
  }
}

/** toURL 写回地址；等于缺省的不写。 */
export function toURL(v: UsageView): Flat {
  const q: Flat = {}
  const put = (name: string, value: string | string[], same: boolean) => { if (!same && value.length) q[name] = value }
  put('range', v.range, v.range === usual.range)
  if (v.range === 'custom') {
    if (v.from !== null) q.from = instantText(v.from)
    if (v.to !== null) q.to = instantText(v.to)
  }
  put('tz', v.zone, v.zone === '')
  put('interval', v.interval, v.interval === usual.interval)
  if (v.by.join() !== usual.by.join()) q.by = v.by.join() || 'none'
  put('server', v.server, false)
  put('app', v.app, false)
  put('model', v.model, false)
  put('metric', v.metric, v.metric === usual.metric)
  put('top', String(v.top), v.top === usual.top)
  put('rows', v.rows, v.rows === usual.rows)
  put('sort', v.sort, false)
  return q
}

/** span 是 now 那一刻算的时间段。 */
export function span(v: UsageView, zone: string, now: number): Span {
  return spanOf(v.range, zone, now, { from: v.from ?? undefined, to: v.to })
}

const hour = 3_600_000

/** intervalOf 把 auto 定下来：图上几十到几百个点。 */
export function intervalOf(v: UsageView, s: Span, now: number): Interval {
  if (v.interval !== 'auto') return v.interval
  const ms = (s.to ?? now) - s.from
  return ms <= 6 * hour ? 'minute' : ms <= 8 * 24 * hour ? 'hour' : 'day'
}

type Order = 'requests' | 'tokens' | 'prompt_tokens' | 'completion_tokens' | 'cost' | 'errors'
const orders: Record<Metric, Order> = { requests: 'requests', tokens: 'tokens', prompt_tokens: 'prompt_tokens', completion_tokens: 'completion_tokens', cost: 'cost', errors: 'errors', first_byte: 'requests' }

/** most 是合计的表至多分开几组，也是 API 的上限。 */
export const most = 1000

/** paramsOf 是问 API 的一句话：rows 为 time 是图与按时间的表，total 是整段合计的表。 */
export function paramsOf(v: UsageView, zone: string, now: number, rows: UsageView['rows'] = v.rows): URLSearchParams {
  const s = span(v, zone, now)
  const p = new URLSearchParams({ from: instantText(s.from) })
  if (s.to !== null) p.set('to', instantText(s.to))
  p.set('interval', rows === 'time' ? intervalOf(v, s, now) : 'none')
  p.set('time_zone', zone)
  for (const name of ['server', 'app', 'model'] as const) for (const x of v[name]) p.append(name, x)
  if (v.by.length) {
    p.set('group_by', v.by.join())
    p.set('top', String(rows === 'time' ? v.top : most))
    p.set('order_by', orders[v.metric])
  }
  p.set('percentiles', '50,95,99')
  return p
}
