package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"

	"github.com/DeRuina/timberjack"
)

// logs are what a running server writes: for people on standard error, for
// programs in files.
type logs struct {
	backend, access *logFile
	log             *slog.Logger // standard error and backend.log
	requests        *slog.Logger // access.log
}

// openLogs prepares DATA_DIR/logs. A file is made with its first line.
func openLogs(dataDir string, level slog.Level, stderr io.Writer) *logs {
	l := &logs{
		backend: newLogFile(filepath.Join(dataDir, "logs", "backend.log")),
		access:  newLogFile(filepath.Join(dataDir, "logs", "access.log")),
	}
	l.log = slog.New(slog.NewMultiHandler(
		newHumanHandler(stderr, level),
		slog.NewJSONHandler(l.backend, &slog.HandlerOptions{Level: level}),
	))
	l.requests = slog.New(slog.NewJSONHandler(l.access, nil))
	return l
}

// reopen makes the next lines go to files of the same names. That is what
// logrotate's SIGHUP asks for, after it has moved the old ones.
func (l *logs) reopen() error { return errors.Join(l.backend.reopen(), l.access.reopen()) }

func (l *logs) close() error { return errors.Join(l.backend.close(), l.access.close()) }

// logFile rotates by itself when it is large, and can be reopened.
type logFile struct {
	path string
	mu   sync.Mutex
	out  *timberjack.Logger
}

func newLogFile(path string) *logFile {
	f := &logFile{path: path}
	f.out = f.open()
	return f
}

func (f *logFile) open() *timberjack.Logger {
	return &timberjack.Logger{Filename: f.path, FileMode: 0o640, MaxSize: 50, MaxBackups: 5, Compression: "gzip"}
}

// Write appends a line.
func (f *logFile) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.out.Write(p)
}

// reopen swaps the writer: a closed timberjack.Logger opens and closes its file
// for every line.
func (f *logFile) reopen() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.out
	f.out = f.open()
	return old.Close()
}

func (f *logFile) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.out.Close()
}

// humanHandler writes "15:04:05 warn  message key=value" for people.
type humanHandler struct {
	mu    *sync.Mutex
	w     io.Writer
	level slog.Level
	attrs string
	group string
}

func newHumanHandler(w io.Writer, level slog.Level) *humanHandler {
	return &humanHandler{mu: new(sync.Mutex), w: w, level: level}
}

// Enabled reports whether records of the level are written.
func (h *humanHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

// Handle writes one line.
func (h *humanHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %-5s %s%s", r.Time.Format("15:04:05"), strings.ToLower(r.Level.String()), clean(r.Message), h.attrs)
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

func (h *humanHandler) append(b *strings.Builder, a slog.Attr) {
	value := clean(a.Value.Resolve().String())
	if strings.ContainsAny(value, " \"=") || value == "" {
		value = fmt.Sprintf("%q", value)
	}
	fmt.Fprintf(b, " %s%s=%s", h.group, a.Key, value)
}

// WithAttrs returns a handler that adds attrs to every line.
func (h *humanHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	for _, a := range attrs {
		h.append(&b, a)
	}
	with := *h
	with.attrs += b.String()
	return &with
}

// WithGroup returns a handler that puts name before the keys.
func (h *humanHandler) WithGroup(name string) slog.Handler {
	with := *h
	with.group += name + "."
	return &with
}
