import { execFileSync } from 'node:child_process'

import { expect, it } from 'vitest'

import { curl, quoted } from './curl'

const awkward = ["it's", '$HOME `id` "x" \\ !', '床前\n明月光', "'", "''\\'", '']

// 真的让 sh 去读：它读到的词必须一个字节不差。
const words = (line: string) => execFileSync('sh', ['-c', line.replace(/^curl/, 'printf "%s\\0"')], { encoding: 'utf8', env: { VEGA_API_KEY: 'from-env' } }).split('\0').slice(0, -1)

it.each(awkward)('quoted 之后 sh 读到的还是 %j', (text) => {
  expect(words(`curl ${quoted(text)}`)).toEqual([text])
})

it('整条命令行原样到得了 curl；没有密钥时由环境给', () => {
  const request = { model: "a'b", stream: true, messages: [{ role: 'user' as const, content: awkward.join('|') }] }
  expect(words(curl('http://gw:8080', '', request))).toEqual(['-N', 'http://gw:8080/v1/chat/completions', '-H', 'Authorization: Bearer from-env', '-H', 'Content-Type: application/json', '-d', JSON.stringify(request)])
  expect(words(curl('http://gw', "k'1", { ...request, stream: false }))).toContain("Authorization: Bearer k'1")
  expect(words(curl('http://gw', 'k', { ...request, stream: false }))).not.toContain('-N')
})
