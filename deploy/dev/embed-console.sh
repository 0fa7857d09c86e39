#!/usr/bin/env bash
# 有构建好的控制台（console/dist）就放到 go:embed 够得着的地方；没有就什么也不做，控制面提供占位页。
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -f console/dist/index.html ] || exit 0
embedded=controlplane/internal/console/dist
find "$embedded" -mindepth 1 ! -name .gitkeep ! -name .gitignore -delete
cp -r console/dist/. "$embedded/"
