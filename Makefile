# Vega 的一切命令。每个目标在一台新机器上都能直接用：缺什么，先装什么。
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
include deploy/dev/tools.mk

MODULES := proto controlplane dataplane deploy
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
# setup 把新的 Node 装在这里；目录还没有时放在 PATH 里也无妨，同一次 make 里装好就用得上。
NODE_BIN := $(CURDIR)/.tools/node/node_modules/.bin
export PATH := $(NODE_BIN):$(TOOLS_BIN):$(PATH)

.PHONY: help
help: ## 列出目标
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'

.PHONY: setup
setup:
	@deploy/dev/setup.sh postgres node

.PHONY: setup-test
setup-test: setup
	@deploy/dev/setup.sh chromium

# 控制台的依赖与成品；没有变的不重做。
.PHONY: console
console:
	@deploy/dev/setup.sh node
	@deploy/dev/console.sh build

.PHONY: build
build: console ## 构建 bin/ 下的三个静态二进制，控制台在其中
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/controlplane ./controlplane/cmd/controlplane
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/dataplane ./dataplane/cmd/dataplane
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/fakeupstream ./dataplane/cmd/fakeupstream

.PHONY: run
run: setup build ## 在本机起一整套（不用 Docker），打印怎么用，Ctrl-C 停
	@mkdir -p .cache && go build -o .cache/dev ./deploy/dev && exec .cache/dev

.PHONY: test
test: setup-test console ## 跑全部测试；有一组没有跑也算失败
	@go run ./deploy/dev/suite test

.PHONY: check
check: setup-test console generate-check lint ## test 之外再查：生成物干净、lint、引用规矩、协议与 OpenAPI
	@go run ./deploy/dev/suite test

.PHONY: bench
bench: setup build ## 性能表：与 nginx、直连、Go 反向代理在同一轮里比；不判通过与否
	@deploy/dev/setup.sh nginx
	@go run ./deploy/bench

.PHONY: proof
proof: setup ## 崩溃、过载与准确性：每条主张打印一行数字
	@go run ./deploy/dev/suite proof

.PHONY: generate
generate: $(foreach t,protoc-gen-go protoc-gen-go-grpc buf sqlc oapi-codegen,$(call tool_stamp,$(t))) ## 重做生成的代码
	buf generate --template proto/buf.gen.yaml
	cd controlplane/internal/postgres && sqlc generate
	cd controlplane/internal/adminapi && go generate ./...
	@deploy/dev/setup.sh node
	@deploy/dev/console.sh deps
	cd console && npm run --silent generate

.PHONY: generate-check
generate-check: ## 生成物与源一致
	@deploy/dev/generate-check.sh

.PHONY: lint
lint: $(foreach t,golangci-lint buf oasdiff,$(call tool_stamp,$(t))) ## 静态检查与引用规矩
	@deploy/dev/lint.sh $(MODULES)

.PHONY: fmt
fmt: $(call tool_stamp,golangci-lint) ## 按规矩排版
	@for m in $(MODULES); do (cd $$m && golangci-lint fmt ./...); done

.PHONY: clean
clean: ## 删掉构建产物（.data 里的数据留着）
	rm -rf bin .cache console/dist console/test-results
