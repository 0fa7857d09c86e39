package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

//go:embed all:dist
var built embed.FS

//go:embed placeholder
var placeholder embed.FS

const index = "index.html"

// Config 的零值可用。
type Config struct {
	// PublicAPIURL 是客户端够到数据面的地址，页面可以向它发请求；空则只能向自己的源。
	PublicAPIURL string
}

// Deps 的零值可用。
type Deps struct {
	// Files 代替内嵌的控制台，给测试用；nil 用内嵌的。
	Files fs.FS
}

// Handler 提供控制台。
type Handler struct {
	files map[string]file
	csp   string
	built bool
}

// file 是一个文件与它不变的头。
type file struct {
	body        []byte
	gzipped     []byte // 没有省下什么的（图片、字体、小文件）为空
	contentType string
	etag        string
	cache       string
}

// New 把文件读进内存。错误：PublicAPIURL 不是绝对地址，或内嵌的文件读不出来。
func New(cfg Config, deps Deps) (*Handler, error) {
	csp, err := policy(cfg.PublicAPIURL)
	if err != nil {
		return nil, err
	}
	files, isBuilt, err := choose(deps.Files)
	if err != nil {
		return nil, err
	}
	h := &Handler{files: map[string]file{}, csp: csp, built: isBuilt}
	err = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		h.files[name] = describe(name, body)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read embedded console: %w", err)
	}
	return h, nil
}

// Built 说提供的是真正的控制台，而不是占位页。
func (h *Handler) Built() bool { return h.built }

func choose(given fs.FS) (files fs.FS, isBuilt bool, err error) {
	if given == nil {
		if given, err = fs.Sub(built, "dist"); err != nil {
			return nil, false, fmt.Errorf("open embedded console: %w", err)
		}
	}
	if _, err := fs.Stat(given, index); err == nil {
		return given, true, nil
	}
	files, err = fs.Sub(placeholder, "placeholder")
	return files, false, err
}

func describe(name string, body []byte) file {
	sum := sha256.Sum256(body)
	f := file{
		body: body, contentType: contentType(name), cache: "no-cache",
		etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:18]) + `"`,
	}
	if strings.HasPrefix(name, "assets/") {
		f.cache = "public, max-age=31536000, immutable"
	}
	f.gzipped = shrink(name, body)
	return f
}

// shrink 压好一个文本文件：起来时压一次，之后每个请求都不再花 CPU。
func shrink(name string, body []byte) []byte {
	switch path.Ext(name) {
	case ".html", ".js", ".mjs", ".css", ".json", ".map", ".svg", ".webmanifest":
	default:
		return nil
	}
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil
	}
	if _, err := w.Write(body); err != nil || w.Close() != nil || out.Len() > len(body)*9/10 {
		return nil
	}
	return out.Bytes()
}

// contentType 不靠机器上的登记表猜常见的几种：同一个程序在哪里都该给一样的头。
func contentType(name string) string {
	switch ext := path.Ext(name); ext {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".json", ".map":
		return "application/json"
	case ".svg":
		return "image/svg+xml"
	case ".woff2":
		return "font/woff2"
	case ".webmanifest":
		return "application/manifest+json"
	default:
		if t := mime.TypeByExtension(ext); t != "" {
			return t
		}
		return "application/octet-stream"
	}
}

func policy(apiURL string) (string, error) {
	connect := "'self'"
	if apiURL != "" {
		u, err := url.Parse(apiURL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.ContainsAny(u.Host, " ;,'\"") {
			return "", fmt.Errorf("the public API URL must be an absolute http or https URL")
		}
		connect += " " + u.Scheme + "://" + u.Host
	}
	return strings.Join([]string{
		"default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "font-src 'self'",
		"manifest-src 'self'", "worker-src 'self'", "connect-src " + connect,
		"base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'",
	}, "; "), nil
}

// ServeHTTP 实现 http.Handler。
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Content-Security-Policy", h.csp)
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	f, ok := h.find(r)
	if !ok {
		header.Set("Cache-Control", "no-store")
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	header.Set("Content-Type", f.contentType)
	header.Set("Cache-Control", f.cache)
	body, etag := f.body, f.etag
	if f.gzipped != nil {
		header.Set("Vary", "Accept-Encoding")
		// 要一段（Range）的按原样给：段落说的是没有压过的字节。
		if acceptsGzip(r.Header.Get("Accept-Encoding")) && r.Header.Get("Range") == "" {
			header.Set("Content-Encoding", "gzip")
			body, etag = f.gzipped, strings.TrimSuffix(f.etag, `"`)+`-gzip"`
		}
	}
	header.Set("ETag", etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// acceptsGzip 读 Accept-Encoding（RFC 9110 §12.5.3）；q=0 是不要。
func acceptsGzip(accepted string) bool {
	for part := range strings.SplitSeq(accepted, ",") {
		coding, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		if c := strings.TrimSpace(coding); !strings.EqualFold(c, "gzip") && c != "*" {
			continue
		}
		q, given := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
		v, err := strconv.ParseFloat(q, 64)
		return !given || err != nil || v > 0
	}
	return false
}

// find 认得就给文件；不认得而要的是网页，给 index.html，由页面自己的路由解释路径。
func (h *Handler) find(r *http.Request) (file, bool) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	if name == "" {
		name = index
	}
	if f, ok := h.files[name]; ok {
		return f, true
	}
	if strings.HasPrefix(name, "assets/") || !strings.Contains(r.Header.Get("Accept"), "text/html") {
		return file{}, false
	}
	f, ok := h.files[index]
	return f, ok
}
