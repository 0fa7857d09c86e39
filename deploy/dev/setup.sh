#!/usr/bin/env bash
# 补上这台机器缺的东西：postgres、node、nginx、chromium 中点到名的那些。已有的不碰；装不了就说清楚装什么。
set -euo pipefail

have_postgres() {
  command -v postgres >/dev/null 2>&1 || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null ||
    compgen -G '/opt/homebrew/opt/postgresql@*/bin/postgres' >/dev/null || [ -n "${VEGA_TEST_DATABASE_URL:-}" ]
}
have_node() { command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1; }
have_nginx() { command -v nginx >/dev/null 2>&1 || [ -x /usr/sbin/nginx ]; }
have_chromium() { command -v chromium >/dev/null 2>&1; }

declare -A package=([postgres]=postgresql [node]="nodejs npm" [nginx]=nginx-light [chromium]=chromium)

command -v go >/dev/null 2>&1 || { echo "setup: Go 1.26 or newer is needed: see https://go.dev/doc/install" >&2; exit 1; }

wanted=()
for need in "$@"; do
  "have_$need" || wanted+=(${package[$need]})
done
[ ${#wanted[@]} -eq 0 ] && exit 0

sudo=""
[ "$(id -u)" -eq 0 ] || sudo=sudo
if ! command -v apt-get >/dev/null 2>&1 || { [ -n "$sudo" ] && ! command -v sudo >/dev/null 2>&1; }; then
  echo "setup: install these with your package manager, then try again: ${wanted[*]}" >&2
  exit 1
fi
echo "setup: installing ${wanted[*]}"
$sudo apt-get update -qq
# 装好的 PostgreSQL 与 nginx 只要二进制，不要替我们起服务。
policy=/usr/sbin/policy-rc.d
made=""
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
  $sudo chmod +x $policy
  made=yes
fi
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${wanted[@]}" >/dev/null || { [ -z "$made" ] || $sudo rm -f $policy; exit 1; }
[ -z "$made" ] || $sudo rm -f $policy
