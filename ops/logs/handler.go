package logs

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"
)

// LevelCritical is for what needs a person now: data at risk, nothing served.
const LevelCritical = slog.Level(12)

// word is a level as operators' scripts look for it.
func word(l slog.Level) string {
	switch {
	case l < slog.LevelInfo:
		return "DEBUG"
	case l < slog.LevelWarn:
		return "INFO"
	case l < slog.LevelError:
		return "WARNING"
	case l < LevelCritical:
		return "ERROR"
	default:
		return "CRITICAL"
	}
}

// NewJSON returns a handler that writes a JSON object per line. Times have whole
// seconds: who counts the lines with 401 in them means a status, not a
// fraction of a second.
func NewJSON(w io.Writer, level slog.Leveler) slog.Handler {
	return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) > 0 {
			return a
		}
		switch v := a.Value.Any().(type) {
		case slog.Level:
			if a.Key == slog.LevelKey {
				return slog.String(a.Key, word(v))
			}
		case time.Time:
			if a.Key == slog.TimeKey {
				return slog.String(a.Key, v.UTC().Format(time.RFC3339))
			}
		}
		return a
	}})
}

// NewHuman returns a handler that writes "15:04:05 warning message key=value".
func NewHuman(w io.Writer, level slog.Leveler) slog.Handler {
	return &human{mu: new(sync.Mutex), w: w, level: level}
}

type human struct {
	mu    *sync.Mutex
	w     io.Writer
	level slog.Leveler
	attrs string
	group string
}

// Enabled reports whether records of the level are written.
func (h *human) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level.Level() }

// Handle writes one line.
func (h *human) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %-7s %s%s", r.Time.Format("15:04:05"), strings.ToLower(word(r.Level)), Clean(r.Message), h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		h.append(&b, a)
		return true
	})
	b.WriteByte('\n')
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := io.WriteString(h.w, b.String())
	return err
}

func (h *human) append(b *strings.Builder, a slog.Attr) {
	value := Clean(a.Value.Resolve().String())
	if strings.ContainsAny(value, " \"=") || value == "" {
		value = fmt.Sprintf("%q", value)
	}
	fmt.Fprintf(b, " %s%s=%s", h.group, a.Key, value)
}

// WithAttrs returns a handler that adds attrs to every line.
func (h *human) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	for _, a := range attrs {
		h.append(&b, a)
	}
	with := *h
	with.attrs += b.String()
	return &with
}

// WithGroup returns a handler that puts name before the keys.
func (h *human) WithGroup(name string) slog.Handler {
	with := *h
	with.group += name + "."
	return &with
}

// Clean makes text safe to show on one line of a terminal: no control
// characters, no characters that reorder others.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t', r == '\r':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r):
			return -1
		default:
			return r
		}
	}, s)
}
