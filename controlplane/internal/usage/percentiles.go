package usage

// LatencyHistograms 是一组请求的三个分布：排队、首字节、从到达至结束。零值是空的。
type LatencyHistograms struct{ Queue, FirstByte, Duration Histogram }

// MergeEncoded 加上存着的三份；坏的编码返回错误。
func (h *LatencyHistograms) MergeEncoded(queue, firstByte, duration []byte) error {
	if err := h.Queue.MergeEncoded(queue); err != nil {
		return err
	}
	if err := h.FirstByte.MergeEncoded(firstByte); err != nil {
		return err
	}
	return h.Duration.MergeEncoded(duration)
}

// Merge 加上 o。
func (h *LatencyHistograms) Merge(o *LatencyHistograms) {
	h.Queue.Merge(&o.Queue)
	h.FirstByte.Merge(&o.FirstByte)
	h.Duration.Merge(&o.Duration)
}

// Latency 读出各百分位（0 至 100）。
func (h *LatencyHistograms) Latency(percentiles []float64) *Latency {
	return &Latency{
		QueueMS: quantiles(&h.Queue, percentiles), FirstByteMS: quantiles(&h.FirstByte, percentiles), DurationMS: quantiles(&h.Duration, percentiles),
	}
}

func quantiles(h *Histogram, percentiles []float64) []float64 {
	if h.Count() == 0 {
		return nil
	}
	out := make([]float64, 0, len(percentiles))
	for _, p := range percentiles {
		out = append(out, h.Quantile(p/100)/1000)
	}
	return out
}
