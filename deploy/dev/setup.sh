#!/usr/bin/env bash
# 补上这台机器缺的东西：postgres、node、nginx、chromium 中点到名的那些。已有的不碰；装不了就说清楚装什么。
# node 是 22.18 以上的 Node 与一个在它上面跑得起来的 npm；发行版的太旧就把它们装进 .tools/node，不动系统里的。
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH="$PWD/.tools/node/node_modules/.bin:$PATH"

have_postgres() {
  command -v postgres >/dev/null 2>&1 || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null ||
    compgen -G '/opt/homebrew/opt/postgresql@*/bin/postgres' >/dev/null || [ -n "${VEGA_TEST_DATABASE_URL:-}" ]
}
have_node() {
  command -v node >/dev/null 2>&1 &&
    node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a === 22 && b >= 18) ? 0 : 1)' &&
    npm --version >/dev/null 2>&1
}
have_nginx() { command -v nginx >/dev/null 2>&1 || [ -x /usr/sbin/nginx ]; }
have_chromium() { command -v "${VEGA_E2E_CHROMIUM:-chromium}" >/dev/null 2>&1; }

command -v go >/dev/null 2>&1 || { echo "setup: Go 1.26 or newer is needed: see https://go.dev/doc/install" >&2; exit 1; }

# 系统里要有的包；node 只要一个能装东西的 npm，版本不论。
packages=()
node_wanted=""
for need in "$@"; do
  "have_$need" && continue
  case $need in
  postgres) packages+=(postgresql) ;;
  nginx) packages+=(nginx-light) ;;
  chromium) packages+=(chromium) ;;
  node)
    node_wanted=yes
    if [ "$(uname -s)" != Linux ]; then
      echo "setup: install Node 24 (22.18 or newer) with npm, then try again: brew install node@24, or see https://nodejs.org" >&2
      exit 1
    fi
    npm --version >/dev/null 2>&1 || packages+=(nodejs npm)
    ;;
  esac
done

install_packages() {
  local sudo="" policy=/usr/sbin/policy-rc.d made=""
  [ "$(id -u)" -eq 0 ] || sudo=sudo
  if ! command -v apt-get >/dev/null 2>&1 || { [ -n "$sudo" ] && ! command -v sudo >/dev/null 2>&1; }; then
    echo "setup: install these with your package manager, then try again: $*" >&2
    exit 1
  fi
  echo "setup: installing $*"
  $sudo apt-get update -qq
  # 装好的 PostgreSQL 与 nginx 只要二进制，不要替我们起服务。
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
    $sudo chmod +x $policy
    made=yes
  fi
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "$@" >/dev/null || { [ -z "$made" ] || $sudo rm -f $policy; exit 1; }
  [ -z "$made" ] || $sudo rm -f $policy
}

# install_node 把 Node 24 装进 .tools/node；发行版的 npm 在它上面跑不起来时，npm 也装一份。
install_node() {
  local arch
  case $(uname -m) in
  x86_64) arch=x64 ;;
  aarch64) arch=arm64 ;;
  *) echo "setup: install Node 24 (22.18 or newer) with npm, then try again: https://nodejs.org has builds for $(uname -m)" >&2; exit 1 ;;
  esac
  echo "setup: installing Node 24 into .tools/node"
  local get=(npm install --prefix .tools/node --no-audit --no-fund --loglevel=error)
  "${get[@]}" "node-linux-$arch@24" >/dev/null
  hash -r # 先前找到的 node 不是它
  have_node && return
  # 借系统里的 Node 跑系统里的 npm，装一个新的。
  PATH=${PATH#*:} "${get[@]}" npm@11 >/dev/null
  hash -r
  have_node || { echo "setup: Node in .tools/node does not run: install Node 24 with npm yourself, then try again" >&2; exit 1; }
}

[ ${#packages[@]} -eq 0 ] || install_packages "${packages[@]}"
[ -z "$node_wanted" ] || install_node
