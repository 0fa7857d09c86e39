// Package openapi 是从 proto/openapi/admin.yaml 生成的路由、参数与形状；只由生成器写。
package openapi

//go:generate oapi-codegen --config oapi-codegen.yaml ../../../../proto/openapi/admin.yaml
