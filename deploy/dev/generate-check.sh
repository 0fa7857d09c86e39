#!/usr/bin/env bash
# 重做一遍生成的代码；与入库的不同即失败，并把工作树恢复原样由人决定。
set -euo pipefail
cd "$(dirname "$0")/../.."
paths=(proto/gen controlplane/internal/postgres/sqlcgen controlplane/internal/adminapi console/src/api)
digest() { find "${paths[@]}" -type f \( -name '*.go' -o -name schema.d.ts \) -exec sha256sum {} + | sort -k2; }
before=$(digest)
make --no-print-directory generate >/dev/null
after=$(digest)
if [ "$before" != "$after" ]; then
  echo "generate-check: generated code is stale; run 'make generate' and commit the result:" >&2
  diff <(echo "$before") <(echo "$after") | awk '/^[<>]/ {print "  " $3}' | sort -u >&2
  exit 1
fi
echo "generate-check: clean"
