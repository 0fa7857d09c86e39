// Package openapi 把两份 HTTP 契约带进程序：契约测试与对外提供都读同一份字节。
package openapi

import _ "embed"

//go:embed admin.yaml
var admin []byte

//go:embed gateway.yaml
var gateway []byte

// Admin 是管理 API 的 OpenAPI 3.0.3 文档（YAML）；调用者不可改动。
func Admin() []byte { return admin }

// Gateway 是网关 API 的 OpenAPI 3.0.3 文档（YAML）；调用者不可改动。
func Gateway() []byte { return gateway }
