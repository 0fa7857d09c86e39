package schedule

import "time"

// link 是一条流的一个方向上的可靠次序：seq 连号，收的一方按号交出，发的一方留着没有被确认的。
//
// gRPC 的流本来就有序不丢，这一层在它之上几乎不做事；有了它，丢失、重复与乱序就都无害，不必再逐种消息去证。
// 重发的时限远大于一个来回，正常时从不发生。
type link[F any] struct {
	sent     uint64        // 发过的最大 seq
	unacked  []parcel[F]   // seq 连号，最早的在前
	due      Time          // 不晚于其中最早该重发的；0 即没有。每一步都要看，所以不逐个去数
	rtt      time.Duration // 发出到确认的平均，只算没有重发过的
	received uint64        // 按序交出的最大 seq
	early    map[uint64]F
}

type parcel[F any] struct {
	seq   uint64
	frame F
	first Time // 第一次发出的时刻
	due   Time // 到此还没有确认就再发
	tries int
}

const (
	// 重发的时限是三个来回，在这两者之间：太短，忙的时候白白重发；太长，丢一帧就闲置一个名额那么久。
	minResend = 40 * time.Millisecond
	maxResend = 200 * time.Millisecond
	// deadAfter 这么久没有确认即当这条流已死。
	deadAfter = 3 * time.Second
	// maxEarly 是乱序到达而还不能交出的上限，超过即当这条流已坏。
	maxEarly = 1024
	// maxUnacked 同上：对面不再确认。
	maxUnacked = 1 << 16
)

// reset 换一条新流。
func (l *link[F]) reset() { *l = link[F]{early: l.early}; clear(l.early) }

// push 给一帧编号并留底。
func (l *link[F]) push(now Time, f F) (seq uint64) {
	l.sent++
	due := now.Add(l.wait(0))
	l.unacked = append(l.unacked, parcel[F]{seq: l.sent, frame: f, first: now, due: due})
	l.due = earliest(l.due, due)
	return l.sent
}

// acked 放掉对面收到了的。
func (l *link[F]) acked(now Time, ack uint64) {
	n := 0
	for n < len(l.unacked) && l.unacked[n].seq <= ack {
		if p := &l.unacked[n]; p.tries == 0 {
			l.rtt += (now.Sub(p.first) - l.rtt) / 8
		}
		n++
	}
	clear(l.unacked[:n])
	l.unacked = l.unacked[n:]
	if len(l.unacked) == 0 {
		l.unacked, l.due = nil, 0
	}
}

// arrived 收下一帧，按序交给 take；seq 为 0 的空帧不经过这里。对面乱得离谱时 ok 为假。
func (l *link[F]) arrived(seq uint64, f F, take func(F)) (ok bool) {
	switch {
	case seq <= l.received && !broken(bugFrameTwice):
		return true
	case seq > l.received+1:
		if len(l.early) >= maxEarly {
			return false
		}
		if l.early == nil {
			l.early = map[uint64]F{}
		}
		l.early[seq] = f
		return true
	}
	l.received = max(l.received, seq)
	take(f)
	for len(l.early) > 0 {
		next, found := l.early[l.received+1]
		if !found {
			break
		}
		delete(l.early, l.received+1)
		l.received++
		take(next)
	}
	return true
}

// wait 是第 tries 次发出之后多久没有确认就再发。
func (l *link[F]) wait(tries int) time.Duration {
	return min(max(3*l.rtt, minResend)<<min(tries, 4), maxResend)
}

// overdue 把该重发的交给 send；太久没有确认时 ok 为假。
func (l *link[F]) overdue(now Time, send func(F)) (ok bool) {
	if l.due == 0 || now < l.due {
		return len(l.unacked) < maxUnacked
	}
	l.due = 0
	for i := range l.unacked {
		p := &l.unacked[i]
		if now >= p.due {
			if now.Sub(p.first) >= deadAfter {
				l.due = p.due
				return false
			}
			p.tries++
			p.due = now.Add(l.wait(p.tries))
			send(p.frame)
		}
		l.due = earliest(l.due, p.due)
	}
	return len(l.unacked) < maxUnacked
}

// next 是最早该看有没有要重发的时刻；没有则 0。
func (l *link[F]) next() Time { return l.due }
