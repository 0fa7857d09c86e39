/** safeNext 是登录之后去的地方：只认本站的路径，别人给的链接不能借登录把人送到别处。 */
export function safeNext(wanted: unknown): string {
  if (typeof wanted !== 'string' || !/^\/(?![/\\])/.test(wanted)) return '/'
  // 控制字符会被浏览器吞掉，剩下的可能就是 //host。
  if ([...wanted].some((c) => c < ' ' || c === '\\')) return '/'
  return /^\/login(?![^/?#])/.test(wanted) ? '/' : wanted
}
