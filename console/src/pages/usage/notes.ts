/** Note 是 API 的一句说明，认得的拆成几项好换一种语言说；认不得的原样是 text。 */
export type Note = { kind: 'widenedFrom' | 'widenedTo' | 'floor'; was: string; now: string; since: string } | { kind: 'other'; text: string }

/** noteOf 认 API 的英文句子。 */
export function noteOf(text: string): Note {
  const wide = /^(from|to) was widened from (\S+) to (\S+): usage by the \w+ is kept since (\S+)$/.exec(text)
  if (wide) return { kind: wide[1] === 'from' ? 'widenedFrom' : 'widenedTo', was: wide[2]!, now: wide[3]!, since: wide[4]! }
  const floor = /^nothing is kept from before (\S+)$/.exec(text)
  return floor ? { kind: 'floor', was: '', now: '', since: floor[1]! } : { kind: 'other', text }
}
