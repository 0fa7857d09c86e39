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

// readBody 读出整个请求体的原文。只收 application/json：浏览器不经预检发不出它，跨站的表单因此进不来。
func (a *api) readBody(c echo.Context) ([]byte, error) {
	return readUpTo(c, a.cfg.MaxBodyBytes)
}

// maxSmallBody 给登录、令牌这些小的请求体：没有登录的人也发得来，不能让他占内存。
const maxSmallBody = 64 << 10

// readSmall 严格地读一个小的 JSON 对象。
func (a *api) readSmall(c echo.Context, target any) error {
	body, err := readUpTo(c, min(maxSmallBody, a.cfg.MaxBodyBytes))
	if err != nil {
		return err
	}
	return catalog.Decode(body, target)
}

func readUpTo(c echo.Context, most int64) ([]byte, error) {
	r := c.Request()
	if mt, _, err := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType)); err != nil || mt != echo.MIMEApplicationJSON {
		return nil, vegaerr.New(vegaerr.Invalid, "", "send the document as JSON with: Content-Type: application/json")
	}
	if r.Header.Get(echo.HeaderContentEncoding) != "" {
		return nil, vegaerr.New(vegaerr.Invalid, "", "send the document without Content-Encoding")
	}
	if r.ContentLength > most {
		return nil, tooLarge(most)
	}
	var buf bytes.Buffer
	_, err := io.Copy(&buf, http.MaxBytesReader(c.Response(), r.Body, most))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, tooLarge(most)
	case err != nil:
		return nil, vegaerr.Wrap(err, vegaerr.Invalid, "", "the request body ended early")
	}
	return buf.Bytes(), nil
}

func tooLarge(most int64) error {
	return vegaerr.New(vegaerr.TooLarge, "", "the request body is larger than %d bytes", most)
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
