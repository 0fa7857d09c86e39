const browsers: [RegExp, string][] = [[/\bEdgA?\/(\d+)/, 'Edge'], [/\bOPR\/(\d+)/, 'Opera'], [/\bFirefox\/(\d+)/, 'Firefox'], [/\b(?:Headless)?Chrome\/(\d+)/, 'Chrome'], [/\bVersion\/(\d+).*Safari/, 'Safari']]
const systems: [RegExp, string][] = [[/Android/, 'Android'], [/iPhone|iPad/, 'iOS'], [/Windows/, 'Windows'], [/Mac OS X/, 'macOS'], [/CrOS/, 'ChromeOS'], [/Linux/, 'Linux']]

/** deviceOf 从浏览器自报的名字里取出认得的：Chrome 140 · Linux；不认得的照原样。 */
export function deviceOf(userAgent: string): string {
  const browser = browsers.map(([r, name]) => [r.exec(userAgent)?.[1], name]).find(([v]) => v)
  if (!browser) return userAgent
  const system = systems.find(([r]) => r.test(userAgent))?.[1]
  return [`${browser[1]} ${browser[0]}`, system].filter(Boolean).join(' · ')
}
