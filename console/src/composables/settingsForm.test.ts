import { describe, expect, it } from 'vitest'

import { changed, formOf, rebased, settingsOf, shrunk } from './settingsForm'

const settings = { retention: { minutes_days: 7, hours_days: 400, days_days: 1830, requests_days: 7 }, requests: { sample: 0.125 }, time_zone: 'Asia/Shanghai', currency: 'CNY' }
const form = formOf(settings)

describe('设置的表单', () => {
  it('摊开再合上是同一份', () => {
    expect(form.percent).toBe(12.5)
    expect(settingsOf(form)).toEqual(settings)
    for (const sample of [0, 1, 0.1, 0.07, 0.0001]) expect(settingsOf(formOf({ ...settings, requests: { sample } })).requests.sample).toBe(sample)
  })

  it('只有变短的才算会删数据', () => {
    expect(shrunk(form, { ...form, minutes_days: 3, hours_days: 500 })).toEqual([{ field: 'minutes_days', from: 7, to: 3 }])
    expect(shrunk(form, form)).toEqual([])
  })

  it('别人先存了：我改的留着，没改的用他的', () => {
    expect(rebased(form, { ...form, currency: 'EUR' }, { ...form, minutes_days: 14, currency: 'JPY' })).toEqual({ ...form, minutes_days: 14, currency: 'EUR' })
  })

  it('改回去就不算改过', () => {
    expect(changed(form, { ...form, percent: 13 })).toBe(true)
    expect(changed(form, { ...form, percent: 12.5 })).toBe(false)
  })
})
