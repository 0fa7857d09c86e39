package upstreamtest

import "time"

// Config 是一个假上游；零值可用：立即作答、不设限额、账本全留。
type Config struct {
	Default       Behavior                // 每个请求的底本
	Script        func(*Request) Behavior // nil 为 Default；运行中用 SetScript 更换。并发调用，须自行保证安全
	Limits        Limits                  // 自己的限额；零值只计数
	Authorization string                  // 非空：/v1 下的 Authorization 必须等于它（如 "Bearer sk-upstream"），否则 401
	Models        []string                // GET /v1/models 列出的名字；nil 为几个常见的。其余端点接受任何模型名

	NoLedger    bool // 不留账本的行，只计数；压测用
	LedgerLimit int  // 账本最多几行，超出时最早的先走；0 不限
	KeepBodies  bool // 行里留一份请求体

	MaxBodyBytes int64            // 请求体上限；0 为 64 MiB
	IdleTimeout  time.Duration    // 空闲的 keep-alive 连接留多久；0 为 3 分钟
	Now          func() time.Time // nil 为 time.Now
}

func (c Config) withDefaults() Config {
	if c.Models == nil {
		c.Models = []string{"gpt-4o", "gpt-4o-mini", "text-embedding-3-small", "fake-model"}
	}
	if c.MaxBodyBytes == 0 {
		c.MaxBodyBytes = 64 << 20
	}
	if c.IdleTimeout == 0 {
		c.IdleTimeout = 3 * time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// DemoConfig 是演示用的上游：约 30 ms 后开始作答，一首短诗分 12 块、每块隔 20 ms，账本留最近一万行。
func DemoConfig() Config {
	return Config{
		Default:     Behavior{Latency: 30 * time.Millisecond, Chunks: 12, ChunkDelay: 20 * time.Millisecond},
		LedgerLimit: 10_000,
	}
}
