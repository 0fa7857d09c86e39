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

const verdicts: [RegExp, string, string[]][] = [
  [/^starts at once in tier -?\d+ on (.+)$/, 'starts', ['servers']],
  [/^no target can start a request now; it waits for (.+)$/, 'waitsFor', ['servers']],
  [/^the queue of every server of the model is full$/, 'queuesFull', []],
  [/^every target is disabled or ejected$/, 'noneLeft', []],
  [/^the model has no targets$/, 'noTargets', []],
  [/^the app is disabled$/, 'appDisabled', []],
  [/^the app may use (.+) only$/, 'appMayUse', ['models']],
  [/^the budget is used up; it starts again at (.+)$/, 'budgetUntil', ['time']],
]

const caveats: [string, string][] = [
  ['; limits, queues and pauses are not known: no replica leads admission at this moment', 'noLeader'],
  ['; the admission leader has just taken over and is still counting what the nodes hold', 'learning'],
  ['; no node is connected that could serve it', 'noNodes'],
]

/** verdictOf 把裁决的那一行英文拆成几句认得的话，按次序；有一句认不出就给 null，原话照写。 */
export function verdictOf(detail: string): Reason[] | null {
  const tail: Reason[] = []
  let rest = detail
  for (const [text, key] of [...caveats].reverse()) {
    if (!rest.endsWith(text)) continue
    rest = rest.slice(0, -text.length)
    tail.unshift({ key, params: {} })
  }
  const head: Reason[] = []
  const fallback = /^no target of "(.+?)" can serve, so the fallback "(.+?)" is used: /.exec(rest)
  if (fallback) {
    head.push({ key: 'fallback', params: { model: fallback[1]!, fallback: fallback[2]! } })
    rest = rest.slice(fallback[0].length)
  }
  const own = 'the app is at its own limit: '
  if (rest.startsWith(own)) {
    head.push({ key: 'ownLimit', params: {} })
    rest = rest.slice(own.length)
  }
  const main = match(verdicts, rest) ?? reasonOf(rest)
  return main ? [...head, main, ...tail] : null
}

/** reasonOf 认出 API 的英文缘由；认不出的给 null，原话照写。 */
export function reasonOf(detail: string): Reason | null {
  return match(known, detail)
}

function match(table: [RegExp, string, string[]][], detail: string): Reason | null {
  for (const [pattern, key, names] of table) {
    const found = pattern.exec(detail)
    if (found) return { key, params: Object.fromEntries(names.map((n, i) => [n, found[i + 1]!])) }
  }
  return null
}
