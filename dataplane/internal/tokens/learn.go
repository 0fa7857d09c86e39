package tokens

import (
	"math"
	"sync"

	"github.com/tiktoken-go/tokenizer/codec"
)

const (
	// bytesPerToken 是什么都没有学到时的经验数。
	bytesPerToken = 4
	// maxModels 是至多记住多少个上游模型；满了从头记起。名字来自配置，通常远到不了。
	maxModels = 1 << 12
	// memory 是比值记住多少个样本：旧的按 1−1/memory 淡去，跟得上用法的变化。
	memory = 64
	// enough 是几个样本之后，每字节的比就好过没有校正过的编码。
	enough = 4
	// alwaysLearn 个样本之后，只有 1/learnEvery 的回答拿来校正编码：每次要真的数一遍。
	alwaysLearn, learnEvery = 16, 64
)

// Counter 数 token 并学校正；用 New 造。
type Counter struct {
	o200k, cl100k encoding

	mu     sync.RWMutex
	models map[string]*lessons
}

// New 造一个什么也没有学过、什么也没有装的 Counter。
func New() *Counter {
	return &Counter{o200k: lazily("o200k_base", codec.NewO200kBase), cl100k: lazily("cl100k_base", codec.NewCl100kBase), models: map[string]*lessons{}}
}

// lessons 是从一个上游模型报的数里学到的。
type lessons struct {
	mu      sync.Mutex
	prompt  ratio // 报的输入 ÷ 按体长估的
	bytes   ratio // 报的输出 ÷ 文字的字节
	foreign fit   // 报的输出 ÷ 我们数的
	counted bool  // 数过它：学校正才有用
	seen    int64 // 数过之后有几个可学的回答
}

// ratio 是两个淡去着的和之比：长的回答说得更准，分量也更重。
type ratio struct {
	got, base float64
	n         int64
}

func (r *ratio) learn(got, base int64) {
	const fade = 1 - 1.0/memory
	r.got, r.base = r.got*fade+float64(got), r.base*fade+float64(base)
	r.n++
}

// value 给出比值，压在肯信的范围里；没有学过是 fallback。
func (r *ratio) value(fallback, lo, hi float64) float64 {
	if r.n == 0 {
		return fallback
	}
	return min(max(r.got/r.base, lo), hi)
}

// fit 是以一元回归学的比：编码之间的差别随文字而异，英文相近而中文可差一倍，所以看每 token 有多少非 ASCII 字节。
type fit struct {
	weight, z, zz, r, rz float64 // 淡去着的和
	n                    int64
}

func (f *fit) learn(z, r float64) {
	const fade = 1 - 1.0/memory
	f.weight, f.z, f.zz, f.r, f.rz = f.weight*fade+1, f.z*fade+z, f.zz*fade+z*z, f.r*fade+r, f.rz*fade+r*z
	f.n++
}

// value 给出文字如 z 时的比；没有学过是 1。
func (f *fit) value(z float64) float64 {
	if f.n == 0 {
		return 1
	}
	const ridge = 0.02 // 见过的文字都差不多时，不由一点噪声定出斜率
	mz, mr := f.z/f.weight, f.r/f.weight
	slope := (f.rz/f.weight - mz*mr) / (f.zz/f.weight - mz*mz + ridge)
	return min(max(mr+slope*(z-mz), 0.25), 8)
}

// of 找出（没有则造）一个模型的课。
func (c *Counter) of(model string) *lessons {
	c.mu.RLock()
	l := c.models[model]
	c.mu.RUnlock()
	if l != nil {
		return l
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if l = c.models[model]; l == nil {
		if len(c.models) >= maxModels {
			clear(c.models)
		}
		l = &lessons{}
		c.models[model] = l
	}
	return l
}

// Lesson 是上游报全了用量的一次调用。零的项没有可教的。
type Lesson struct {
	Estimate int64 // 按请求体的长短估的输入
	Prompt   int64 // 报的输入
	Bytes    int64 // 经过的文字字节
	Output   int64 // 报的输出，只在文字就是全部输出时给
}

// Learn 学一次报全了的用量；不碰编码。
func (c *Counter) Learn(model string, s Lesson) {
	l := c.of(model)
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.Estimate > 0 && s.Prompt > 0 {
		l.prompt.learn(s.Prompt, s.Estimate)
	}
	if s.Bytes > 0 && s.Output > 0 {
		l.bytes.learn(s.Output, s.Bytes)
	}
}

// Wants 说值得为校正拿这一个回答的文字来数一遍（LearnText）：编码不为人知，数过它，而且轮到了。
func (c *Counter) Wants(model string) bool {
	if _, native := c.encodingOf(model); native {
		return false
	}
	l := c.of(model)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.counted {
		return false
	}
	l.seen++
	return l.foreign.n < alwaysLearn || l.seen%learnEvery == 0
}

// LearnText 以一段完整的文字与上游为它报的输出学校正。
func (c *Counter) LearnText(model string, text []byte, reported int64) {
	enc, _ := c.encodingOf(model)
	n := countEscaped(enc, text)
	if n.tokens == 0 || reported <= 0 || n.size >= maxOutput {
		return
	}
	l := c.of(model)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.foreign.learn(n.foreignness(), float64(reported)/float64(n.tokens))
}

// correction 是一个编码不为人知的模型的校正；从此值得为它学。
func (c *Counter) correction(model string, n count) float64 {
	l := c.of(model)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counted = true
	return l.foreign.value(n.foreignness())
}

// byBytes 在还没有学过校正、而每字节的比已经可信时给出输出。
func (c *Counter) byBytes(model string, total int64) (int64, bool) {
	l := c.of(model)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counted = true
	if l.foreign.n > 0 || l.bytes.n < enough {
		return 0, false
	}
	return round(float64(total) * l.perByte()), true
}

func (l *lessons) perByte() float64 { return l.bytes.value(1.0/bytesPerToken, 1.0/64, 4) }

// GuessOutput 由文字的字节估输出，不碰编码：流走着的时候用。
func (c *Counter) GuessOutput(model string, total int64) int64 {
	l := c.of(model)
	l.mu.Lock()
	defer l.mu.Unlock()
	return round(float64(total) * l.perByte())
}

// GuessPrompt 由按体长估的输入猜实数，不碰编码：体已经不在的时候用。
func (c *Counter) GuessPrompt(model string, estimate int64) int64 {
	l := c.of(model)
	l.mu.Lock()
	defer l.mu.Unlock()
	return round(float64(estimate) * l.prompt.value(1, 1.0/64, 64))
}

func round(x float64) int64 { return int64(math.Round(x)) }
