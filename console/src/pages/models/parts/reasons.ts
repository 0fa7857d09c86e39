/** Reason 是认出来的一句缘由：models.reason 之下的键与其中的数。 */
export interface Reason {
  key: string
  params: Record<string, string>
}

const known: [RegExp, string, string[]][] = [
  [/^the server is disabled$/, 'serverDisabled', []],
  [/^the weight is 0/, 'noWeight', []],
  [/^the upstream asked for a pause/, 'pause', []],
  [/^(\d+) requests wait for it already$/, 'crowded', ['count']],
  [/^all (\d+) requests in flight are taken$/, 'concurrency', ['limit']],
  [/^the (\d+) requests per minute are used up/, 'requests', ['limit']],
  [/^the (\d+) tokens per minute are used up/, 'tokens', ['limit']],
  [/^ejected by every connected node: (.+)$/, 'ejected', ['why']],
  [/^ejected by every connected node, but used all the same/, 'lastOne', []],
  [/^ejected by (\d+) of (\d+) connected nodes$/, 'someNodes', ['count', 'nodes']],
]

/** reasonOf 认出 API 的英文缘由；认不出的给 null，原话照写。 */
export function reasonOf(detail: string): Reason | null {
  for (const [pattern, key, names] of known) {
    const found = pattern.exec(detail)
    if (found) return { key, params: Object.fromEntries(names.map((n, i) => [n, found[i + 1]!])) }
  }
  return null
}
