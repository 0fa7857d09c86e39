import { describe, expect, it } from 'vitest'

import { fileName, read } from './document'
import { yaml } from './yaml'

describe('YAML', () => {
  it('写成声明式文档惯常的样子', () => {
    const text = yaml({ servers: [{ name: 'gpu-1', base_url: 'http://h:1/v1', enabled: true, limits: { max_concurrency: 16 }, headers: {} }], models: [], apps: [{ name: 'a', models: ['*'] }] })
    expect(text).toBe(`servers:
  - name: gpu-1
    base_url: "http://h:1/v1"
    enabled: true
    limits:
      max_concurrency: 16
    headers: {}
models: []
apps:
  - name: a
    models:
      - "*"
`)
  })

  it('像数、布尔、空的字加引号，缺席的不写', () => {
    expect(yaml({ a: 'true', b: '12', c: '', d: null, e: undefined, f: 'x: y', 'g h': '多\n行', i: '2026-01-01', j: 'No' })).toBe(
      'a: "true"\nb: "12"\nc: ""\nd: null\nf: "x: y"\n"g h": "多\\n行"\ni: "2026-01-01"\nj: "No"\n')
  })

  it('列表里的列表', () => {
    expect(yaml([[1, 2], []])).toBe('- - 1\n  - 2\n- []\n')
  })
})

describe('文档', () => {
  it('认得出 JSON 与 YAML，一字不改', () => {
    expect(read('  {"apps":[]}')).toEqual({ text: '  {"apps":[]}', type: 'application/json' })
    expect(read('[]').type).toBe('application/json')
    expect(read('# mine\nservers:\n  - name: a\n').type).toBe('application/yaml')
    expect(read('---\napps: []\n').type).toBe('application/yaml')
  })

  it('文件名带着版本', () => expect(fileName(12, 'yaml')).toBe('vega-r12.yaml'))
})
