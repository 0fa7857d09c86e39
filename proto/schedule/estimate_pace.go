package schedule

import (
	"math"
	"time"
)

// pace 是每个请求的平均（时长的秒数，或 token 数）：起初是算术平均，满 window 个之后是权重 1/window 的指数滑动平均。
// window 太小则估计随单个请求乱跳，会错拒；64 个时相对误差约一成。
type pace struct {
	mean float64
	seen int64 // 至多 window
}

const window = 64

func (p *pace) known() bool { return p.seen > 0 }

func (p *pace) add(total float64, requests int64) {
	if requests <= 0 {
		return
	}
	p.seen = min(p.seen+requests, window)
	weight := float64(min(requests, window)) / float64(p.seen)
	if p.seen == window && requests > 1 && requests < window {
		weight = 1 - math.Pow(1-1.0/window, float64(requests))
	}
	p.mean += (total/float64(requests) - p.mean) * weight
}

// Served 记下完成了 requests 个请求、它们在上游共用了 busy；估计由此知道服务有多快。
func (c *Core) Served(now Time, server, app string, requests int64, busy time.Duration) {
	c.tick(now)
	if s := c.servers[server]; s != nil {
		s.pace.add(busy.Seconds(), requests)
	}
	if a := c.apps[app]; a != nil {
		a.pace.add(busy.Seconds(), requests)
	}
}

// seconds 是三个池放行第 position 个还要多久：在途池每秒放行 N/平均时长，速率池按补充率。
// known 为假即有一个有限的池还说不出快慢，并且别的也都不挡。
func (ps *pools) seconds(now Time, position float64, pace, tokens *pace) (wait float64, known bool) {
	known = true
	for i := range ps {
		p := &ps[i]
		switch p.cap.Mode {
		case Count:
			if !pace.known() || p.cap.N <= 0 {
				known = false
				continue
			}
			wait = max(wait, position*pace.mean/float64(p.cap.N))
		case Rate:
			want := position
			if Kind(i)+InFlight == Tokens {
				want *= tokens.mean
			}
			p.bucket.advance(now)
			if p.bucket.rate <= 0 {
				known = false
				continue
			}
			wait = max(wait, (want-float64(p.bucket.level))*61/float64(p.bucket.rate))
		case Stock:
			known = known && p.bucket.level > 0
		}
	}
	return wait, known || wait > 0
}

// position 是 flow f 里前面还有 ahead 个时的一个请求在 s 的公平次序里大约排第几：
// 别人按份额与它交替，所以是自己前面的除以份额；至多是整个队。
func (s *server) position(k *class, f *flow, weight, ahead int64) float64 {
	weights, classes := k.weights, int64(0)
	if f == nil || f.active == 0 {
		weights += weight
	}
	for i := range s.classes {
		if other := &s.classes[i]; other.active.len() > 0 || other == k {
			classes += other.weight
		}
	}
	part := float64(weight) / float64(weights) * float64(k.weight) / float64(classes)
	return min(float64(ahead)/part, float64(s.waiting)) + 1
}
