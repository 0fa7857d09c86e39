# 生成与检查用的工具：每个按名字钉死版本，装在仓库自己的 .tools/bin，不进任何 go.mod。
# （一个共用的 tools 模块做不到：buf 要的 protobuf 预发布版与产品钉的版本不合。）
TOOLS_BIN := $(CURDIR)/.tools/bin

TOOL_protoc-gen-go      := google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
TOOL_protoc-gen-go-grpc := google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
TOOL_buf                := github.com/bufbuild/buf/cmd/buf@v1.75.0
TOOL_sqlc               := github.com/sqlc-dev/sqlc/cmd/sqlc@v1.31.1
TOOL_oapi-codegen       := github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2
TOOL_golangci-lint      := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
TOOL_oasdiff            := github.com/oasdiff/oasdiff@v1.35.0

TOOLS := protoc-gen-go protoc-gen-go-grpc buf sqlc oapi-codegen golangci-lint oasdiff

# 印记文件带版本号：换版本即重装，已装的不再碰。
tool_stamp = $(TOOLS_BIN)/.$(subst /,_,$(TOOL_$(1)))

define tool_rule
$(call tool_stamp,$(1)):
	@mkdir -p $(TOOLS_BIN)
	@echo "installing $(TOOL_$(1))"
	@cd / && GOBIN=$(TOOLS_BIN) GOWORK=off GOFLAGS= CGO_ENABLED=0 go install $(TOOL_$(1))
	@rm -f $(TOOLS_BIN)/.*_$(1)@* && touch $$@
endef
$(foreach t,$(TOOLS),$(eval $(call tool_rule,$(t))))

.PHONY: tools
tools: $(foreach t,$(TOOLS),$(call tool_stamp,$(t)))
