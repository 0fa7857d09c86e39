package embedded

import (
	"bytes"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const keepLines = 20

// logSink 把服务器的 stderr 逐行交给日志，并留住最后几行，供启动失败时说明原因。
type logSink struct {
	log *zap.Logger

	mu    sync.Mutex
	part  []byte // 还没有换行的尾巴
	level zapcore.Level
	last  []string
}

// Write 实现 io.Writer，从不失败。
func (s *logSink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.part = append(s.part, p...)
	for {
		line, rest, ok := bytes.Cut(s.part, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		s.line(string(bytes.TrimRight(line, "\r")))
		s.part = slices.Clone(rest)
	}
}

func (s *logSink) line(line string) {
	// DETAIL、HINT 与缩进的续行跟随它们所说明的那一行。
	severity, text, ok := strings.Cut(line, ":  ")
	if level, known := levels[severity]; ok && known {
		s.level = level
	} else {
		text = line
	}
	s.last = append(s.last, line)
	s.last = s.last[max(0, len(s.last)-keepLines):]
	if e := s.log.Check(s.level, "postgres: "+text); e != nil {
		e.Write()
	}
}

// levels 是严重程度的对应。ERROR 是某一条语句的错误，发语句的人自会处理；FATAL 只结束一个会话。
var levels = map[string]zapcore.Level{
	"LOG": zap.DebugLevel, "DEBUG": zap.DebugLevel, "INFO": zap.DebugLevel, "NOTICE": zap.DebugLevel,
	"ERROR": zap.DebugLevel, "WARNING": zap.WarnLevel, "FATAL": zap.WarnLevel, "PANIC": zap.ErrorLevel,
}

// tail 给出最后几行，以 " | " 相连。
func (s *logSink) tail() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.last, " | ")
}
