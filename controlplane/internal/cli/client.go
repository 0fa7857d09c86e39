package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

const (
	requestTimeout = 2 * time.Minute
	maxAnswer      = 256 << 20
)

// Client 对管理 API 说话。
type Client struct {
	baseURL, token string
	http           *http.Client
}

// NewClient 造一个 Client；cfg 由 FromEnv 得来。
func NewClient(cfg Config) *Client {
	return &Client{
		baseURL: cfg.AdminURL, token: cfg.Token,
		// 带着令牌的请求不跟随重定向：令牌只给操作者点名的那台机器。
		http: &http.Client{Timeout: requestTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// ApplyOptions 的零值是：真写，不删除，不等待。
type ApplyOptions struct {
	DryRun, Prune, Wait bool
	Note                string
}

// Result 是应用的结果；Applied、Rejected、Pending 只在等待且服务端给了名单时有。
type Result struct {
	Revision uint64               `json:"revision"`
	DryRun   bool                 `json:"dry_run"`
	Changes  []catalog.ChangeItem `json:"changes"`
	Keys     []struct {
		App    string `json:"app"`
		Name   string `json:"name"`
		Secret string `json:"secret"`
	} `json:"keys"`
	Applied  []string `json:"applied"`
	Rejected []struct {
		Node  string `json:"node"`
		Error string `json:"error"`
	} `json:"rejected"`
	Pending []string `json:"pending"`
}

// unknown 说服务端没能说出谁换上了。
func (r Result) unknown() bool { return r.Applied == nil && r.Rejected == nil && r.Pending == nil }

// Apply 应用一份 JSON 文档。被拒时错误是 *vegaerr.Error，Problems 逐处列出。
func (c *Client) Apply(ctx context.Context, document []byte, o ApplyOptions) (Result, error) {
	q := url.Values{}
	for name, on := range map[string]bool{"dry_run": o.DryRun, "prune": o.Prune, "wait": o.Wait} {
		if on {
			q.Set(name, strconv.FormatBool(on))
		}
	}
	if o.Note != "" {
		q.Set("note", o.Note)
	}
	body, err := c.do(ctx, http.MethodPut, "/api/v1/config?"+q.Encode(), document)
	if err != nil {
		return Result{}, err
	}
	var r Result
	if err := json.Unmarshal(body, &r); err != nil {
		return Result{}, fmt.Errorf("read the answer of %s: %w", c.baseURL, err)
	}
	return r, nil
}

// Export 给出现在的配置，JSON，不含秘密。
func (c *Client) Export(ctx context.Context) ([]byte, error) {
	return c.do(ctx, http.MethodGet, "/api/v1/config", nil)
}

// ResetPassword 给操作员一个新的一次性口令；没有这个人是 vegaerr.NotFound。
func (c *Client) ResetPassword(ctx context.Context, name string) (string, error) {
	body, err := c.do(ctx, http.MethodPost, "/api/v1/operators/"+url.PathEscape(name)+"/reset-password", nil)
	if err != nil {
		return "", err
	}
	var r struct {
		Password string `json:"one_time_password"`
	}
	if err := json.Unmarshal(body, &r); err != nil || r.Password == "" {
		return "", fmt.Errorf("read the answer of %s: %w", c.baseURL, err)
	}
	return r.Password, nil
}

func (c *Client) do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	answer, _, err := c.send(ctx, method, path, body, http.Header{"Content-Type": {"application/json"}})
	return answer, err
}

// send 送一个请求，给出 200 的应答与它的头。
func (c *Client) send(ctx context.Context, method, path string, body []byte, header http.Header) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.baseURL+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.Header = header
	req.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, nil, unreachable(c.baseURL, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, nil, unreachable(c.baseURL, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, nil, refused(c.baseURL, resp.StatusCode, answer)
	}
	return answer, resp.Header, nil
}

func unreachable(baseURL string, err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	return vegaerr.Wrap(err, vegaerr.Unavailable, "", "the control plane does not answer at %s (VEGA_ADMIN_URL): %v", baseURL, err)
}

// refused 把 problem+json 变回错误；不是那个形状的，多半是地址指到了别的东西。
func refused(baseURL string, status int, body []byte) error {
	var p struct {
		Code, Detail string
		Errors       []vegaerr.Problem
	}
	if json.Unmarshal(body, &p) != nil || p.Code == "" {
		return vegaerr.New(vegaerr.Internal, "", "%s answered HTTP %d, and not as a Vega control plane; check VEGA_ADMIN_URL", baseURL, status)
	}
	if status == http.StatusUnauthorized {
		p.Detail = "the control plane does not know this token; check VEGA_ADMIN_TOKEN"
	}
	return vegaerr.New(codeNamed(p.Code), p.Code, "%s", p.Detail).WithProblems(p.Errors)
}

func codeNamed(name string) vegaerr.Code {
	for c := vegaerr.Invalid; c <= vegaerr.Internal; c++ {
		if c.String() == name {
			return c
		}
	}
	return vegaerr.Internal
}
