/** zones 是浏览器认得的时区，写着此刻与 UTC 差多少；current 不在其中也列上：它是现在的设置。 */
export function zones(current: string): { value: string; label: string }[] {
  const known = ['UTC', ...Intl.supportedValuesOf('timeZone').filter((z) => z !== 'UTC')]
  const all = known.includes(current) ? known : [current, ...known]
  return all.map((value) => ({ value, label: `${value} (${offset(value)})` }))
}

function offset(zone: string): string {
  const part = new Intl.DateTimeFormat('en', { timeZone: zone, timeZoneName: 'shortOffset' }).formatToParts().find((p) => p.type === 'timeZoneName')
  return (part?.value ?? 'UTC').replace('GMT', 'UTC')
}
