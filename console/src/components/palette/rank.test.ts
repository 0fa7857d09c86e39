import { describe, expect, it } from 'vitest'

import { type Entry, found, requestIdIn, score } from './rank'

const entry = (title: string): Entry => ({ id: title, kind: 'server', title, note: '', hay: title.toLowerCase(), run: () => {} })
const names = (query: string, ...titles: string[]) => found(titles.map(entry), query, 50).map((e) => e.title)

describe('排名', () => {
  it('从头起的在前，词头次之，中间再次，拆开的最后，不像的没有', () => {
    expect(names('gpu', 'mygpu', 'g-p-u', 'x-gpu', 'gpu-1', 'cpu')).toEqual(['gpu-1', 'x-gpu', 'mygpu', 'g-p-u'])
  })
  it('同样像时短的在前，再按原来的次序', () => {
    expect(names('gpu', 'gpu-10', 'gpu-1', 'gpu-2')).toEqual(['gpu-1', 'gpu-2', 'gpu-10'])
  })
  it('拆开的字母也找得到，隔得近的在前', () => {
    expect(names('gp2', 'g1p1u1-2', 'gpu-2')).toEqual(['gpu-2', 'g1p1u1-2'])
    expect(score('ab', 'ba')).toBe(-1)
  })
  it('几个词都要像，次序不论，大小写不论', () => {
    expect(names('NEW ser', 'New server', 'new app', 'server')).toEqual(['New server'])
    expect(names('server new', 'New server')).toEqual(['New server'])
  })
  it('空的给出原来的次序，至多 limit 个', () => {
    expect(found(['b', 'a', 'c'].map(entry), '  ', 2).map((e) => e.title)).toEqual(['b', 'a'])
  })
  it('汉字与非 BMP 的字一样找', () => {
    expect(names('服务', '后端服务器', '应用')).toEqual(['后端服务器'])
    expect(names('🚀x', 'a🚀bx')).toEqual(['a🚀bx'])
  })
  it('五百个名字找一千遍用不了多久', () => {
    const many = Array.from({ length: 500 }, (_, i) => entry(`server-${i} http://10.0.0.${i % 256}:8000/v1`))
    const began = performance.now()
    for (let i = 0; i < 1000; i++) found(many, `server-${i % 500}`, 50)
    const each = (performance.now() - began) / 1000
    console.log(`figures: console palette_rank_500_ms=${each.toFixed(3)}`)
    expect(each).toBeLessThan(50)
  })
})

it('requestIdIn 认得请求号，不把名字当成它', () => {
  for (const id of ['0197f3c2-5a1b-7c3d-9e4f-0123456789ab', '7N4ATJ6ZYOVSNNIRCKFDNGAK4X', 'req_0123456789abcdef0123']) expect(requestIdIn(` ${id}\n`)).toBe(id)
  for (const name of ['gpu-1', '后端服务器', 'new server', 'text-embedding-small', '42', '']) expect(requestIdIn(name)).toBe('')
})
