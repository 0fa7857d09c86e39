#!/usr/bin/env bash
# 控制台的构建，只做要做的：
#   console.sh deps    锁文件变了才 npm ci
#   console.sh build   再加：源码变了才 vite build；成品放到 go:embed 够得着的地方
# 变没变看内容的散列，记在 node_modules 里：检出、合并都只改时间，不该惊动它。
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
export PATH="$root/.tools/node/node_modules/.bin:$PATH"
cd console

digest() { find "$@" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1; }
same() { [ "$(cat "$1" 2>/dev/null)" = "$2" ]; }

deps=$(digest package.json package-lock.json .npmrc)
if ! same node_modules/.vega-deps "$deps"; then
  echo "console: npm ci"
  npm ci --no-audit --no-fund --loglevel=error --cache "$root/.cache/npm"
  echo "$deps" >node_modules/.vega-deps
fi
[ "${1:-build}" = build ] || exit 0

sources=$(digest src public index.html vite.config.ts tsconfig*.json package-lock.json)
if [ ! -f dist/index.html ] || ! same node_modules/.vega-built "$sources"; then
  echo "console: vite build"
  node node_modules/vite/bin/vite.js build --logLevel warn
  echo "$sources" >node_modules/.vega-built
fi
exec "$root/deploy/dev/embed-console.sh"
