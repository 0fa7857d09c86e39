package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/vega-gateway/vega/proto/vegaerr"
)

// 退出码。
const (
	ExitOK         = 0
	ExitFailed     = 1
	ExitInvalid    = 2 // 文档不合规矩，什么都没有写下
	ExitIncomplete = 3 // 已写下，但有节点拒绝或没有回音
)

// errIncomplete 不带更多的话：名单已经写出来了。
var errIncomplete = errors.New("written, but not every node is known to have applied it")

// Streams 是动词读写的地方。
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Apply 是 `controlplane apply`：读文件、应用、写出结果。错误交给 Report 写出。
func Apply(ctx context.Context, environ []string, s Streams, file string, o ApplyOptions) error {
	cfg, err := FromEnv(environ)
	if err != nil {
		return err
	}
	document, err := LoadFile(file, s.In, lookup(environ))
	if err != nil {
		return err
	}
	r, err := NewClient(cfg).Apply(ctx, document, o)
	if err != nil {
		return err
	}
	if err := printResult(s.Out, r, o.Wait); err != nil {
		return err
	}
	if len(r.Rejected)+len(r.Pending) > 0 || o.Wait && !o.DryRun && r.unknown() {
		return errIncomplete
	}
	return nil
}

// Export 是 `controlplane export`：把现在的配置写成 YAML，不含秘密。
func Export(ctx context.Context, environ []string, s Streams) error {
	cfg, err := FromEnv(environ)
	if err != nil {
		return err
	}
	document, err := NewClient(cfg).Export(ctx)
	if err != nil {
		return err
	}
	text, err := toYAML(document)
	if err != nil {
		return err
	}
	_, err = s.Out.Write(text)
	return err
}

// ResetPassword 是 `controlplane user reset-password NAME`：一次性口令写到标准输出，这个操作员的会话全部作废。
func ResetPassword(ctx context.Context, environ []string, s Streams, name string) error {
	cfg, err := FromEnv(environ)
	if err != nil {
		return err
	}
	password, err := NewClient(cfg).ResetPassword(ctx, name)
	if err != nil {
		return err
	}
	fmt.Fprintln(s.Err, "one-time password, shown only this once; it must be changed at the next sign-in:")
	_, err = fmt.Fprintln(s.Out, password)
	return err
}

// ExitCode 是错误的退出码；nil 为 0。
func ExitCode(err error) int {
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, errIncomplete):
		return ExitIncomplete
	case errors.Is(err, errUnexplained):
		return ExitUnexplained
	case errors.As(err, new(notCompared)):
		return ExitFailed
	case vegaerr.CodeOf(err) == vegaerr.Invalid:
		return ExitInvalid
	}
	return ExitFailed
}

// lookup 按 environ 查变量；重复的以后写的为准，与 os.Getenv 一致。
func lookup(environ []string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := len(environ) - 1; i >= 0; i-- {
			if v, ok := cutName(environ[i], name); ok {
				return v, true
			}
		}
		return "", false
	}
}

func cutName(entry, name string) (string, bool) {
	if len(entry) > len(name) && entry[:len(name)] == name && entry[len(name)] == '=' {
		return entry[len(name)+1:], true
	}
	return "", false
}
