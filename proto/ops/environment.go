package ops

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/caarlos0/env/v11"
)

// Environment 按 T 的 env 标签读设置；environ 的形状同 os.Environ。
// 任何 VEGA_ 变量都可以改用 <NAME>_FILE 指一个文件，值是其内容去掉末尾空白；空值等于没有设。
// 错误是一行，点名出错的变量。
func Environment[T any](environ []string) (T, error) {
	var zero T
	vars, err := expandFiles(environ)
	if err != nil {
		return zero, err
	}
	cfg, err := env.ParseAsWithOptions[T](env.Options{Environment: vars})
	if err != nil {
		return zero, nameVariable[T](err)
	}
	return cfg, nil
}

// nameVariable 把库的错误（只有字段名）换成点名变量的一行。
func nameVariable[T any](err error) error {
	var parse env.ParseError
	if !errors.As(err, &parse) {
		return fmt.Errorf("read environment: %s", strings.ReplaceAll(err.Error(), "\n", " "))
	}
	name := parse.Name
	if f, ok := reflect.TypeFor[T]().FieldByName(parse.Name); ok {
		name, _, _ = strings.Cut(f.Tag.Get("env"), ",")
	}
	return fmt.Errorf("%s: %s", name, strings.ReplaceAll(parse.Err.Error(), "\n", " "))
}

func expandFiles(environ []string) (map[string]string, error) {
	vars := make(map[string]string, len(environ))
	for _, kv := range environ {
		if k, v, ok := strings.Cut(kv, "="); ok && v != "" {
			vars[k] = v
		}
	}
	for k, path := range vars {
		name, ok := strings.CutSuffix(k, "_FILE")
		if !ok || !strings.HasPrefix(k, "VEGA_") {
			continue
		}
		if _, both := vars[name]; both {
			return nil, fmt.Errorf("%s and %s are both set: keep one", name, k)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
		vars[name] = strings.TrimRight(string(b), "\r\n\t ")
	}
	return vars, nil
}
