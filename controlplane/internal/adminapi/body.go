package adminapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// readBody 读出整个 JSON 请求体的原文。
func (a *api) readBody(c echo.Context) ([]byte, error) {
	return a.readAs(c, echo.MIMEApplicationJSON, "send the document as JSON with: Content-Type: application/json", a.cfg.MaxBodyBytes)
}

// readDocument 读出声明式文档，给出 JSON；YAML 与命令行读得一样严，错误带行号。
func (a *api) readDocument(c echo.Context) ([]byte, error) {
	if !sentAs(c, mimeYAML) {
		return a.readAs(c, echo.MIMEApplicationJSON, "send the document with: Content-Type: application/json, or application/yaml", a.cfg.MaxBodyBytes)
	}
	body, err := a.readWhole(c, a.cfg.MaxBodyBytes)
	if err != nil {
		return nil, err
	}
	return catalog.YAMLToJSON(body)
}

// mimeYAML 是 RFC 9512 登记的名字。
const mimeYAML = "application/yaml"

func sentAs(c echo.Context, kind string) bool {
	mt, _, err := mime.ParseMediaType(c.Request().Header.Get(echo.HeaderContentType))
	return err == nil && mt == kind
}

// readAs 读出整个请求体的原文。只收 kind 一种类型：浏览器不经预检发不出 JSON、YAML 与 CSV，跨站的表单因此进不来。
func (a *api) readAs(c echo.Context, kind, advice string, limit int64) ([]byte, error) {
	if !sentAs(c, kind) {
		return nil, vegaerr.New(vegaerr.Invalid, "", "%s", advice)
	}
	return a.readWhole(c, limit)
}

func (a *api) readWhole(c echo.Context, limit int64) ([]byte, error) {
	r := c.Request()
	if r.Header.Get(echo.HeaderContentEncoding) != "" {
		return nil, vegaerr.New(vegaerr.Invalid, "", "send the document without Content-Encoding")
	}
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	var buf bytes.Buffer
	_, err := io.Copy(&buf, http.MaxBytesReader(c.Response(), r.Body, limit))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, tooLarge(limit)
	case err != nil:
		return nil, vegaerr.Wrap(err, vegaerr.Invalid, "", "the request body ended early")
	}
	return buf.Bytes(), nil
}

func tooLarge(limit int64) error {
	return vegaerr.New(vegaerr.TooLarge, "", "the request body is larger than %d bytes", limit)
}

// writeJSON 先编码再写状态：编不出来时还来得及答 500。名字与 URL 里的 & < > 保持原样，好读。
func writeJSON(c echo.Context, code int, v any) error {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return vegaerr.Wrap(err, vegaerr.Internal, "", "internal error")
	}
	h := c.Response().Header()
	if h.Get(echo.HeaderContentType) == "" {
		h.Set(echo.HeaderContentType, "application/json")
	}
	c.Response().WriteHeader(code)
	_, err := c.Response().Write(buf.Bytes())
	return err
}
