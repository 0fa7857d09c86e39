package proxy

import "errors"

// Kind 是一次尝试怎么失败的。
type Kind uint8

const (
	Connect   Kind = iota + 1 // 拨号、TLS、代理或过期连接：对方没有开始处理
	Broken                    // 送出之后、首个应答字节之前断了，或应答不是 HTTP
	FirstByte                 // first_byte 之内没有首个字节
	Idle                      // 两次读之间超过 idle
	Total                     // 整次调用超过 total
	Truncated                 // 应答体没有读完就断了
	Canceled                  // 调用者先取消
	Late                      // 到了 StartBy 还没有连接：不怪对方，一个字节也没有写
)

var kindNames = [...]string{
	Connect: "connect", Broken: "broken", FirstByte: "first_byte_timeout", Idle: "idle_timeout",
	Total: "total_timeout", Truncated: "truncated", Canceled: "canceled", Late: "late",
}

// String 给出 snake_case 的名字，进日志与指标。
func (k Kind) String() string {
	if int(k) < len(kindNames) && k > 0 {
		return kindNames[k]
	}
	return "unknown"
}

// Failure 是一次尝试的失败。
type Failure struct {
	Kind  Kind
	Sent  bool // 请求的字节到了对方：算一次尝试
	cause error
}

// Error 给日志看。
func (f *Failure) Error() string {
	if f.cause == nil {
		return f.Kind.String()
	}
	return f.Kind.String() + ": " + f.cause.Error()
}

// Unwrap 给出底下的错误。
func (f *Failure) Unwrap() error { return f.cause }

// 取消的原因；watch 用它们叫停 Transport，读的一方再认出来。
var (
	errFirstByte = errors.New("no first byte in time")
	errIdle      = errors.New("upstream went quiet")
	errTotal     = errors.New("total time used up")
	errFinished  = errors.New("attempt finished")
	errLate      = errors.New("the connection came too late to use the permit")
)

// kindOf 认出取消的原因；不是我们的超时就是调用者取消。
func kindOf(cause error) Kind {
	switch {
	case errors.Is(cause, errFirstByte):
		return FirstByte
	case errors.Is(cause, errIdle):
		return Idle
	case errors.Is(cause, errTotal):
		return Total
	case errors.Is(cause, errLate):
		return Late
	}
	return Canceled
}
