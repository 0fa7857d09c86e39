#!/usr/bin/env bash
# 静态检查：Go 各模块（含引用规矩）、控制台（类型与 ESLint）、协议（含与上一版兼容）、OpenAPI 两个文件、Linux 之外也能过 vet、出厂二进制不带测试用的东西。
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD

echo "lint: buf"
buf lint
buf format --diff --exit-code >/dev/null || { echo "lint: run 'buf format -w'" >&2; exit 1; }
base=$(git rev-parse --verify -q origin/main || git rev-parse --verify -q HEAD || true)
if [ -n "$base" ] && git cat-file -e "$base:buf.yaml" 2>/dev/null; then
  buf breaking --against ".git#ref=$base"
  for spec in gateway admin; do
    # allOf 合起来再比：把几个字段挪进共用的一段不算破坏。
    old=$(mktemp)
    if git show "$base:proto/openapi/$spec.yaml" >"$old" 2>/dev/null; then
      oasdiff breaking --flatten-allof --fail-on ERR "$old" "proto/openapi/$spec.yaml" || { echo "lint: proto/openapi/$spec.yaml breaks its clients" >&2; rm -f "$old"; exit 1; }
    fi
    rm -f "$old"
  done
fi

echo "lint: openapi"
mkdir -p .cache
npx --yes --cache "$root/.cache/npm" @redocly/cli@2.77.0 lint --config proto/openapi/redocly.yaml proto/openapi/gateway.yaml proto/openapi/admin.yaml >.cache/redocly.log 2>&1 ||
  { cat .cache/redocly.log >&2; exit 1; }

echo "lint: console"
deploy/dev/console.sh deps
(cd console && npm run --silent types && npm run --silent lint -- --max-warnings 0)

for m in "$@"; do
  echo "lint: $m"
  (cd "$m" && golangci-lint run ./...)
done

echo "lint: shipped binaries"
for pkg in ./controlplane/cmd/controlplane ./dataplane/cmd/dataplane; do
  if go list -deps "$pkg" | grep -E 'testcontainers|/upstreamtest$|/controltest$|/pgtest$|^testing$'; then
    echo "lint: $pkg carries a test package (listed above)" >&2
    exit 1
  fi
done

echo "lint: go vet for darwin"
for m in "$@"; do
  (cd "$m" && GOOS=darwin CGO_ENABLED=0 go vet ./...)
done
echo "lint: clean"
