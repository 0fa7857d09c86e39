package vegaerr

import (
	"context"
	"errors"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

const errorDomain = "vega"

var toGRPC = map[Code]codes.Code{
	Invalid: codes.InvalidArgument, TooLarge: codes.OutOfRange, Unauthenticated: codes.Unauthenticated,
	Denied: codes.PermissionDenied, NotFound: codes.NotFound, Conflict: codes.AlreadyExists,
	PreconditionFailed: codes.FailedPrecondition, Exhausted: codes.ResourceExhausted, Unavailable: codes.Unavailable,
	Timeout: codes.DeadlineExceeded, Canceled: codes.Canceled, Internal: codes.Internal,
}

var fromGRPC = func() map[codes.Code]Code {
	m := make(map[codes.Code]Code, len(toGRPC))
	for c, g := range toGRPC {
		m[g] = c
	}
	return m
}()

// GRPC 把错误变成可过线的状态：类别、原因与重试间隔都保留，隐藏的原因不过线。nil 返回 nil。
func GRPC(err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) {
		switch {
		case errors.Is(err, context.Canceled):
			e = New(Canceled, "", "canceled")
		case errors.Is(err, context.DeadlineExceeded):
			e = New(Timeout, "", "deadline exceeded")
		default:
			if s, ok := status.FromError(err); ok {
				return s.Err()
			}
			e = New(Internal, "", "internal error")
		}
	}
	s := status.New(toGRPC[e.Code], e.Message)
	info := &errdetails.ErrorInfo{Reason: e.ReasonOrCode(), Domain: errorDomain}
	if e.RetryAfter > 0 {
		if d, err := s.WithDetails(info, &errdetails.RetryInfo{RetryDelay: durationpb.New(e.RetryAfter)}); err == nil {
			return d.Err()
		}
	}
	if d, err := s.WithDetails(info); err == nil {
		return d.Err()
	}
	return s.Err()
}

// FromGRPC 是 GRPC 的逆：把收到的状态变回 *Error。nil 返回 nil。
func FromGRPC(err error) error {
	if err == nil {
		return nil
	}
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	code, known := fromGRPC[s.Code()]
	if !known {
		code = Internal
	}
	e := &Error{Code: code, Message: s.Message(), cause: err}
	for _, d := range s.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			if d.GetDomain() == errorDomain && d.GetReason() != code.String() {
				e.Reason = d.GetReason()
			}
		case *errdetails.RetryInfo:
			e.RetryAfter = d.GetRetryDelay().AsDuration().Round(time.Millisecond)
		}
	}
	return e
}
