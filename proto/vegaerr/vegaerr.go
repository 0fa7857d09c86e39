// Package vegaerr 是两个平面共用的错误类型。
//
// 职责：一个封闭的错误码集合，加上给人看的英文文本、机器可读的原因、重试间隔与来源；
// HTTP 状态码只在各自的 HTTP 层里出现，gRPC 映射在本包（grpc.go）。
//
// 用法：知道含义的那一层用 New 或 Wrap 加一次码；其他层只用 fmt.Errorf("act: %w", err) 补一句话。
// 隐藏的 cause 永不离开进程：Error 会带上它（进日志），PublicMessage 不会（进应答）。
package vegaerr

import (
	"errors"
	"fmt"
	"time"
)

// Code 是错误的类别，封闭集合；零值不是合法的类别。
type Code uint8

const (
	Invalid            Code = iota + 1 // 输入不合规矩
	TooLarge                           // 输入超过大小上限
	Unauthenticated                    // 没有或不认识的凭证
	Denied                             // 凭证有效，但不许做这件事
	NotFound                           // 所指的东西不存在
	Conflict                           // 与现状冲突
	PreconditionFailed                 // If-Match 不成立
	Exhausted                          // 限额、队列或预算用尽
	Unavailable                        // 暂时不能服务
	Timeout                            // 超过期限
	Canceled                           // 对方先走了
	Internal                           // 我们的缺陷；文本对外只给请求号
)

var codeNames = [...]string{
	Invalid: "invalid", TooLarge: "too_large", Unauthenticated: "unauthenticated", Denied: "denied",
	NotFound: "not_found", Conflict: "conflict", PreconditionFailed: "precondition_failed", Exhausted: "exhausted",
	Unavailable: "unavailable", Timeout: "timeout", Canceled: "canceled", Internal: "internal",
}

// String 给出 snake_case 的类别名；不在集合里的值是 "internal"。
func (c Code) String() string {
	if c >= Invalid && c <= Internal {
		return codeNames[c]
	}
	return codeNames[Internal]
}

// Origin 说这个错误是谁造成的：网关自己，还是上游。
type Origin uint8

const (
	Gateway Origin = iota
	Upstream
)

// Problem 是输入里的一处错误：Path 形如 "servers[0].limits.max_concurrency"。
type Problem struct {
	Path    string `json:"path"`
	Message string `json:"message"`
}

// Error 是唯一的错误类型。零值不可用，用 New 或 Wrap 造。
type Error struct {
	Code       Code
	Reason     string        // 稳定的机器可读原因，如 "model_not_found"；空则用类别名
	Message    string        // 给调用者看的英文句子，说明怎么办
	Param      string        // 出错的参数名，可空
	RetryAfter time.Duration // 0 表示不知道
	Origin     Origin
	Problems   []Problem // 逐处列出的输入错误，可空

	cause error
}

// New 造一个错误；reason 为空时对外原因就是类别名。
func New(code Code, reason, format string, args ...any) *Error {
	return &Error{Code: code, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Wrap 同 New，并带上不出进程的原因。
func Wrap(cause error, code Code, reason, format string, args ...any) *Error {
	e := New(code, reason, format, args...)
	e.cause = cause
	return e
}

// Error 给日志看：类别、文本与隐藏的原因。
func (e *Error) Error() string {
	s := e.ReasonOrCode() + ": " + e.Message
	if e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s
}

// Unwrap 让 errors.Is 与 errors.As 看见隐藏的原因。
func (e *Error) Unwrap() error { return e.cause }

// ReasonOrCode 给出对外的稳定原因。
func (e *Error) ReasonOrCode() string {
	if e.Reason != "" {
		return e.Reason
	}
	return e.Code.String()
}

// WithRetryAfter 返回带重试间隔的副本。
func (e *Error) WithRetryAfter(d time.Duration) *Error {
	c := *e
	c.RetryAfter = d
	return &c
}

// WithParam 返回带参数名的副本。
func (e *Error) WithParam(param string) *Error {
	c := *e
	c.Param = param
	return &c
}

// WithProblems 返回带逐处错误的副本。
func (e *Error) WithProblems(p []Problem) *Error {
	c := *e
	c.Problems = p
	return &c
}

// FromUpstream 返回标明由上游造成的副本。
func (e *Error) FromUpstream() *Error {
	c := *e
	c.Origin = Upstream
	return &c
}

// As 取出链上的 *Error；没有则包成 Internal，对外文本不含原因。err 不可为 nil。
func As(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return Wrap(err, Internal, "", "internal error")
}

// CodeOf 给出错误的类别；nil 返回 0，不认识的返回 Internal。
func CodeOf(err error) Code {
	if err == nil {
		return 0
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}
