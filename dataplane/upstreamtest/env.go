package upstreamtest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Settings 是独立进程 fakeupstream 的设定。
type Settings struct {
	Addr   string // 监听地址
	Config Config
}

// SettingsFromEnv 从环境变量读设定，以 DemoConfig 为底；getenv 通常是 os.Getenv。
// 每个变量也可以写成 <NAME>_FILE，值取自那个文件。错误文本指名出错的变量。
func SettingsFromEnv(getenv func(string) string) (Settings, error) {
	e := environment{getenv: getenv}
	s := Settings{Addr: ":9001", Config: DemoConfig()}
	e.read("VEGA_HTTP_ADDR", func(v string) error { s.Addr = v; return nil })
	e.read("VEGA_FAKE_LATENCY", duration(&s.Config.Default.Latency))
	e.read("VEGA_FAKE_CHUNK_DELAY", duration(&s.Config.Default.ChunkDelay))
	e.read("VEGA_FAKE_CHUNKS", func(v string) (err error) {
		s.Config.Default.Chunks, err = strconv.Atoi(v)
		if err != nil || s.Config.Default.Chunks < 1 {
			return fmt.Errorf("want a positive number")
		}
		return s.Config.Default.validate()
	})
	e.read("VEGA_FAKE_LEDGER", func(v string) error {
		switch v {
		case "on":
		case "off":
			s.Config.NoLedger = true
		case "all":
			s.Config.LedgerLimit = 0
		default:
			n, err := strconv.Atoi(v)
			if err != nil || n < 1 {
				return fmt.Errorf("want on, off, all or a number of entries")
			}
			s.Config.LedgerLimit = n
		}
		return nil
	})
	return s, e.err
}

// environment 逐个读变量，记住第一个错误。
type environment struct {
	getenv func(string) string
	err    error
}

func (e *environment) read(name string, set func(string) error) {
	value := e.getenv(name)
	if path := e.getenv(name + "_FILE"); value == "" && path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			e.fail(name+"_FILE", err)
			return
		}
		value = strings.TrimSpace(string(data))
	}
	if value == "" {
		return
	}
	if err := set(value); err != nil {
		e.fail(name, fmt.Errorf("%q: %w", value, err))
	}
}

func (e *environment) fail(name string, err error) {
	if e.err == nil {
		e.err = fmt.Errorf("%s: %w", name, err)
	}
}

func duration(into *time.Duration) func(string) error {
	return func(v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d < 0 {
			return fmt.Errorf("want a duration such as 30ms")
		}
		*into = d
		return nil
	}
}
