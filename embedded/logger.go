package embedded

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/nats-io/nats-server/v2/server"
)

// logger turns the server's lines into records. The server formats its lines
// itself, so the line is an attribute: messages stay constant.
type logger struct {
	out *slog.Logger

	mu   sync.Mutex
	last string
}

var _ server.Logger = (*logger)(nil)

func newLogger(out *slog.Logger) *logger { return &logger{out: out} }

// lastError returns what the server complained about last, otherwise when it
// did not.
func (l *logger) lastError(otherwise string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == "" {
		return otherwise
	}
	return l.last
}

func (l *logger) fail(format string, v []any) {
	line := fmt.Sprintf(format, v...)
	l.mu.Lock()
	l.last = line
	l.mu.Unlock()
	l.out.Error("nats server error", "line", line)
}

func (l *logger) Noticef(format string, v ...any) {
	l.out.Debug("nats server notice", "line", fmt.Sprintf(format, v...))
}

func (l *logger) Warnf(format string, v ...any) {
	if strings.HasPrefix(format, "Plaintext passwords") {
		return // they are made at random for this process and are in no file
	}
	l.out.Warn("nats server warning", "line", fmt.Sprintf(format, v...))
}

func (l *logger) Errorf(format string, v ...any) { l.fail(format, v) }

// Fatalf must not end the process: Start finds the server shut down.
func (l *logger) Fatalf(format string, v ...any) { l.fail(format, v) }

func (l *logger) Debugf(string, ...any) {}
func (l *logger) Tracef(string, ...any) {}
