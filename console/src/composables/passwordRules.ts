/** PasswordRule 是口令的一条规矩，与 API 的一样；ok 说此刻满足没有。 */
export interface PasswordRule {
  name: 'length' | 'bytes' | 'varied' | 'notName' | 'differs'
  ok: boolean
}

const least = 12
const mostBytes = 256

/** passwordRules 逐条查新口令；只求长，不求花样。 */
export function passwordRules(operator: string, current: string, next: string): PasswordRule[] {
  const length = [...next].length
  const name = operator.toLowerCase()
  return [
    { name: 'length', ok: length >= least },
    { name: 'bytes', ok: new TextEncoder().encode(next).length <= mostBytes },
    { name: 'varied', ok: new Set(next).size > 1 },
    { name: 'notName', ok: next !== '' && !(name !== '' && next.toLowerCase().includes(name) && length < name.length + least) },
    { name: 'differs', ok: next !== '' && next !== current },
  ]
}
