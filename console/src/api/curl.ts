import type { ChatRequest } from './gateway'

/** quoted 把一段文字写成 POSIX shell 的一个词：单引号里什么都不展开，单引号自己要先出去再进来。 */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

/** curl 是同一个请求的命令行；key 为空时写作 $VEGA_API_KEY，由人自己的环境给出。 */
export function curl(base: string, key: string, request: ChatRequest): string {
  const auth = key ? quoted(`Authorization: Bearer ${key}`) : '"Authorization: Bearer $VEGA_API_KEY"'
  return [
    `curl ${request.stream ? '-N ' : ''}${quoted(`${base}/v1/chat/completions`)}`,
    `  -H ${auth}`,
    `  -H 'Content-Type: application/json'`,
    `  -d ${quoted(JSON.stringify(request))}`,
  ].join(' \\\n')
}
