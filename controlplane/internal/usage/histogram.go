package usage

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
)

// 桶按 2^(1/8) 增长，与 Prometheus native histogram 的 schema 3 相同：读出的百分位至多差约 4.4%。
const (
	bucketsPerOctave = 8
	// maxBucket 装得下约 2^40 微秒（12 天）；更长的都算在最后一桶。
	maxBucket = 40 * bucketsPerOctave
)

// Histogram 是可以相加的时长分布，单位微秒；零值是空的。桶 0 是不到 1 微秒的，桶 i 是 (2^((i-1)/8), 2^(i/8)]。
// 一行里多半只有几个桶，因此只存非空的，按桶升序。
type Histogram struct{ buckets []bucketCount }

type bucketCount struct {
	bucket int
	n      uint64
}

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
	if len(h.buckets) == 0 {
		h.buckets = append(h.buckets, o.buckets...)
		return
	}
	at := 0
	for _, b := range o.buckets {
		at = h.addAfter(at, b.bucket, b.n)
	}
}

func (h *Histogram) add(bucket int, n uint64) { h.addAfter(0, bucket, n) }

// addAfter 知道 bucket 不在 from 之前，返回它的位置：依次加时不必每次从头找。
func (h *Histogram) addAfter(from, bucket int, n uint64) int {
	at, found := slices.BinarySearchFunc(h.buckets[from:], bucket, func(b bucketCount, want int) int { return b.bucket - want })
	at += from
	if found {
		h.buckets[at].n += n
	} else {
		h.buckets = slices.Insert(h.buckets, at, bucketCount{bucket, n})
	}
	return at
}

// Count 是计入过的个数。
func (h *Histogram) Count() uint64 {
	var total uint64
	for _, b := range h.buckets {
		total += b.n
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
	for _, b := range h.buckets {
		if seen += b.n; seen >= max(rank, 1) {
			return middle(b.bucket)
		}
	}
	return middle(h.buckets[len(h.buckets)-1].bucket)
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
	for _, b := range h.buckets {
		dst = binary.AppendUvarint(dst, uint64(b.bucket-last))
		dst = binary.AppendUvarint(dst, b.n)
		last = b.bucket
	}
	return dst
}

// MergeEncoded 加上 Append 编出的一份，不另建一份；坏的编码返回错误，那时 h 可能已加上一部分。
func (h *Histogram) MergeEncoded(b []byte) error {
	at, place := -1, 0
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
		if count > 0 { // 空桶不是我们编的，也不该留下
			place = h.addAfter(place, at, count)
		}
	}
	return nil
}
