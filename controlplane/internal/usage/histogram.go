package usage

import (
	"encoding/binary"
	"errors"
	"math"
)

// 桶按 2^(1/8) 增长，与 Prometheus native histogram 的 schema 3 相同：读出的百分位至多差约 4.4%。
const (
	bucketsPerOctave = 8
	// maxBucket 装得下约 2^40 微秒（12 天）；更长的都算在最后一桶。
	maxBucket = 40 * bucketsPerOctave
)

// Histogram 是可以相加的时长分布，单位微秒；零值是空的。桶 0 是不到 1 微秒的，桶 i 是 (2^((i-1)/8), 2^(i/8)]。
type Histogram struct{ counts []uint64 }

var errHistogram = errors.New("a stored histogram is damaged")

// bucketOf 是 us 所在的桶。
func bucketOf(us int64) int {
	if us <= 0 {
		return 0
	}
	return min(int(math.Ceil(math.Log2(float64(us))*bucketsPerOctave))+1, maxBucket)
}

// Observe 计入一个时长（微秒）；负数算 0。
func (h *Histogram) Observe(us int64) { h.add(bucketOf(us), 1) }

// Merge 加上 o。
func (h *Histogram) Merge(o *Histogram) {
	for i, n := range o.counts {
		if n > 0 {
			h.add(i, n)
		}
	}
}

func (h *Histogram) add(bucket int, n uint64) {
	if bucket >= len(h.counts) {
		grown := make([]uint64, bucket+1)
		copy(grown, h.counts)
		h.counts = grown
	}
	h.counts[bucket] += n
}

// Count 是计入过的个数。
func (h *Histogram) Count() uint64 {
	var total uint64
	for _, n := range h.counts {
		total += n
	}
	return total
}

// Quantile 是第 q 分位（0 至 1）的微秒数，取所在桶两端的几何平均；空的直方图为 0。
func (h *Histogram) Quantile(q float64) float64 {
	total := h.Count()
	if total == 0 {
		return 0
	}
	rank := uint64(math.Ceil(min(max(q, 0), 1) * float64(total)))
	var seen uint64
	for i, n := range h.counts {
		if seen += n; seen >= max(rank, 1) {
			return middle(i)
		}
	}
	return middle(len(h.counts) - 1)
}

func middle(bucket int) float64 {
	if bucket == 0 {
		return 0
	}
	return math.Exp2((float64(bucket) - 1.5) / bucketsPerOctave)
}

// Append 把 h 编在 dst 之后：每个非空的桶是一对 uvarint（与上一个非空桶的距离、个数）；空的直方图不编出任何字节。
func (h *Histogram) Append(dst []byte) []byte {
	last := -1
	for i, n := range h.counts {
		if n > 0 {
			dst = binary.AppendUvarint(dst, uint64(i-last))
			dst = binary.AppendUvarint(dst, n)
			last = i
		}
	}
	return dst
}

// MergeEncoded 加上 Append 编出的一份，不另建一份；坏的编码返回错误，那时 h 可能已加上一部分。
func (h *Histogram) MergeEncoded(b []byte) error {
	at := -1
	for len(b) > 0 {
		step, n := binary.Uvarint(b)
		if n <= 0 || step == 0 || step > maxBucket+1 {
			return errHistogram
		}
		b = b[n:]
		count, n := binary.Uvarint(b)
		if at += int(step); n <= 0 || at > maxBucket {
			return errHistogram
		}
		b = b[n:]
		h.add(at, count)
	}
	return nil
}
