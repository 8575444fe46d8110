package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	kanbanhttp "github.com/agent-kanban/agent-kanban/http"
)

// Logs of one server. Its methods are safe for concurrent use.
type Logs struct {
	// Log is standard error and backend.log.
	Log *slog.Logger

	backend, access, slow *file

	file   *slog.Logger // backend.log alone
	level  slog.Level
	listed *rate.Limiter // requests that backend.log tells of
	left   atomic.Int64  // and those that it did not, since
}

// Open prepares the files; each is made with its first line. stderr gets what
// people read: in their form when it is a terminal, else as JSON.
func Open(dataDir string, level slog.Level, stderr io.Writer, terminal bool) *Logs {
	l := &Logs{
		backend: newFile(dataDir, Backend),
		access:  newFile(dataDir, AccessLog),
		slow:    newFile(dataDir, SlowQueries),
		level:   level,
		listed:  rate.NewLimiter(100, 500),
	}
	shown := NewJSON(stderr, level)
	if terminal {
		shown = NewHuman(stderr, level)
	}
	written := NewJSON(l.backend, level)
	l.file = slog.New(written)
	l.Log = slog.New(slog.NewMultiHandler(shown, written))
	return l
}

func (l *Logs) files() []*file { return []*file{l.backend, l.access, l.slow} }

// Link makes the data directory's links to the files. Where something else has
// a name, it stays.
func (l *Logs) Link() error { return l.each((*file).link) }

// Reopen makes the next lines go to files of the same names: what SIGHUP asks
// for after somebody moved the old ones.
func (l *Logs) Reopen() error { return l.each((*file).reopen) }

// Close ends the files. A line that still comes opens its file for itself.
func (l *Logs) Close() error { return l.each((*file).close) }

func (l *Logs) each(do func(*file) error) error {
	var errs []error
	for _, f := range l.files() {
		errs = append(errs, do(f))
	}
	return errors.Join(errs...)
}

// Request writes a line of access.log, and one of backend.log when the request
// failed or everything is to be told (level DEBUG). A flood of failures is
// listed up to 100 a second and then counted.
func (l *Logs) Request(r *kanbanhttp.Request) {
	path, who := field(r.Path), field(r.Principal)
	line := fmt.Appendf(make([]byte, 0, 256), "%s - %s [%s] \"%s %s %s\" %d %.6f %d %s\n",
		field(r.Peer), who, r.Time.Format("02/Jan/2006:15:04:05 -0700"), field(r.Method), path, field(r.Proto),
		r.Status, r.Took.Seconds(), r.Bytes, field(r.ID))
	_, _ = l.access.Write(line)
	if r.Status < 400 && l.level > slog.LevelDebug {
		return
	}
	level := slog.LevelInfo
	switch {
	case r.Status >= 500:
		level = slog.LevelError
	case r.Status == 401, r.Status == 403, r.Status == 429:
		level = slog.LevelWarn
	}
	ctx := context.Background()
	if !l.file.Enabled(ctx, level) {
		return
	}
	if !l.listed.Allow() {
		l.left.Add(1)
		return
	}
	if left := l.left.Swap(0); left > 0 {
		l.file.Warn("too many requests failed to list them all; access.log has every one", "not_listed", left)
	}
	// The 11th word is the status, as scripts of operators expect it.
	l.file.Log(ctx, level, "request completed: principal "+who+" peer "+field(r.Peer)+" "+field(r.Method)+" "+path+
		" in "+strconv.FormatFloat(r.Took.Seconds(), 'f', 3, 64)+"s: "+strconv.Itoa(r.Status)+" "+http.StatusText(r.Status))
}

// SlowQuery writes a line of slow_queries.log, and one of backend.log.
func (l *Logs) SlowQuery(statement string, took time.Duration) {
	if l.listed.Allow() {
		l.file.Info("slow query", "statement", statement) // no digits that look like a status
	}
	_, _ = fmt.Fprintf(l.slow, "%.3f %s %s\n", float64(took.Microseconds())/1000, time.Now().UTC().Format(time.RFC3339), Clean(statement))
}

// field is text as one word of a line.
func field(s string) string {
	if s == "" {
		return "-"
	}
	plain := true
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == '"' || s[i] == '\\' {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	quoted := strconv.QuoteToASCII(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], " ", `\x20`)
}
