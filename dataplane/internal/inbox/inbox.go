// Package inbox 把一条流的下行消息一条条交给主循环：两条到控制面的流都是一个主循环加一个收消息的协程。
//
// 不缓冲：主循环忙时不再收，流控自然把对面挡住。协程归调用者的 WaitGroup，流断或 ctx 结束即结束。
package inbox

import (
	"context"
	"sync"
)

// Inbox 是收着的一条流。用 Open 造。
type Inbox[T any] struct {
	messages chan T
	broken   chan error
}

// Open 开始收；recv 在流断时返回错误，ctx 结束时流须断。
func Open[T any](ctx context.Context, wg *sync.WaitGroup, recv func() (T, error)) *Inbox[T] {
	in := &Inbox[T]{messages: make(chan T), broken: make(chan error, 1)}
	wg.Go(func() { in.broken <- in.receive(ctx, recv) })
	return in
}

func (in *Inbox[T]) receive(ctx context.Context, recv func() (T, error)) error {
	for {
		m, err := recv()
		if err != nil {
			return err
		}
		select {
		case in.messages <- m:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Messages 是到了的消息。
func (in *Inbox[T]) Messages() <-chan T { return in.messages }

// Broken 在流断时给出一次缘由。
func (in *Inbox[T]) Broken() <-chan error { return in.broken }

// Reason 等出 Send 失败的真正缘由：Send 只说 io.EOF，状态在收的一边。到手的消息不再要，
// 但必须接走：收的人正等着交出一条时，不接就互相等死。
func (in *Inbox[T]) Reason() error {
	for {
		select {
		case err := <-in.broken:
			return err
		case <-in.messages:
		}
	}
}
