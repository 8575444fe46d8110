package logs

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	kanbanhttp "github.com/agent-kanban/agent-kanban/http"
)

// open returns logs in a folder of their own, and what they say on standard error.
func open(t *testing.T, level slog.Level, terminal bool) (l *Logs, dir string, stderr *bytes.Buffer) {
	t.Helper()
	dir, stderr = t.TempDir(), new(bytes.Buffer)
	l = Open(dir, level, stderr, terminal)
	if err := l.Link(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l, dir, stderr
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestLevelsAreTheWordsThatScriptsLookFor(t *testing.T) {
	t.Parallel()
	l, dir, stderr := open(t, slog.LevelDebug, true)
	want := []string{"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}
	for i, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError, LevelCritical} {
		l.Log.Log(t.Context(), level, "something\nhappened", "key", "a value", "level", i)
	}
	lines := strings.Split(strings.TrimSpace(read(t, dir, Backend)), "\n")
	shown := strings.Split(strings.TrimSpace(stderr.String()), "\n")
	if len(lines) != 5 || len(shown) != 5 {
		t.Fatalf("%d lines written and %d shown of 5", len(lines), len(shown))
	}
	for i, line := range lines {
		var got struct{ Time, Msg string }
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		if !strings.Contains(line, `"level":"`+want[i]+`"`) || got.Msg != "something\nhappened" {
			t.Errorf("%s: want level %s", line, want[i])
		}
		if _, err := time.Parse("2006-01-02T15:04:05Z", got.Time); err != nil {
			t.Errorf("the time is %q: want whole seconds in UTC", got.Time)
		}
		if !regexp.MustCompile(`^\d\d:\d\d:\d\d ` + strings.ToLower(want[i]) + ` +something happened key="a value"`).MatchString(shown[i]) {
			t.Errorf("shown: %s", shown[i])
		}
	}
}

func TestWithoutATerminalEverythingIsJSON(t *testing.T) {
	t.Parallel()
	l, dir, stderr := open(t, slog.LevelInfo, false)
	l.Log.With("part", "bus").WithGroup("g").Warn("gone", "time", time.Unix(0, 5))
	l.Log.Debug("not told")
	if got := stderr.String(); got != read(t, dir, Backend) || !json.Valid([]byte(got)) {
		t.Errorf("standard error: %s\nfile: %s", got, read(t, dir, Backend))
	}
}

var request = kanbanhttp.Request{
	Time: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), Peer: "10.0.0.9", Principal: "human:3",
	Method: "POST", Path: "/api/tickets", Proto: "HTTP/1.1", Status: 201, Bytes: 512, Took: 4321 * time.Microsecond, ID: "r-1",
}

func TestAccessLog(t *testing.T) {
	t.Parallel()
	hostile := request
	hostile.Path, hostile.Principal, hostile.ID = "/a b\"\n\x1b[31m%0aé", "", ""
	for name, test := range map[string]struct {
		request kanbanhttp.Request
		want    string
	}{
		"plain":   {request, `10.0.0.9 - human:3 [04/Mar/2026:05:06:07 +0000] "POST /api/tickets HTTP/1.1" 201 0.004321 512 r-1`},
		"hostile": {hostile, `10.0.0.9 - - [04/Mar/2026:05:06:07 +0000] "POST /a\x20b\"\n\x1b[31m%0a\u00e9 HTTP/1.1" 201 0.004321 512 -`},
	} {
		l, dir, _ := open(t, slog.LevelInfo, true)
		l.Request(&test.request)
		got := read(t, dir, AccessLog)
		if got != test.want+"\n" {
			t.Errorf("%s:\n got %swant %s", name, got, test.want)
		}
		if f := strings.Fields(got); len(f) != 12 || f[8] != "201" || f[9] != "0.004321" || f[10] != "512" {
			t.Errorf("%s: fields are %q", name, f)
		}
		if _, err := os.Stat(filepath.Join(dir, "logs", Backend)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a request that went well is in backend.log (%v)", name, err)
		}
	}
}

func TestFailedRequestsAreInBackendLog(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status int
		level  string
	}{{400, "INFO"}, {401, "WARNING"}, {403, "WARNING"}, {404, "INFO"}, {429, "WARNING"}, {500, "ERROR"}, {507, "ERROR"}} {
		l, dir, stderr := open(t, slog.LevelInfo, true)
		r := request
		r.Status = test.status
		l.Request(&r)
		got := strings.Fields(read(t, dir, Backend))
		if !strings.Contains(got[0], `"level":"`+test.level+`"`) || got[1] != "completed:" {
			t.Errorf("%d: %q, want level %s", test.status, got, test.level)
		}
		if want := []string{"POST", "/api/tickets"}; got[6] != want[0] || got[7] != want[1] || got[10] != read(t, dir, AccessLog)[len(`10.0.0.9 - human:3 [04/Mar/2026:05:06:07 +0000] "POST /api/tickets HTTP/1.1" `):][:3] {
			t.Errorf("%d: words 7, 8 and 11 are %q %q %q", test.status, got[6], got[7], got[10])
		}
		if stderr.Len() != 0 {
			t.Errorf("%d: standard error has it too: %s", test.status, stderr)
		}
	}
}

func TestLevelOfRequests(t *testing.T) {
	t.Parallel()
	for level, want := range map[slog.Level]string{slog.LevelDebug: "201 404 500", slog.LevelInfo: "404 500", slog.LevelWarn: "500"} {
		l, dir, _ := open(t, level, true)
		for _, status := range []int{201, 404, 500} {
			r := request
			r.Status = status
			l.Request(&r)
		}
		var got []string
		for line := range strings.Lines(read(t, dir, Backend)) {
			got = append(got, strings.Fields(line)[10])
		}
		if strings.Join(got, " ") != want {
			t.Errorf("at %v: %v, want %s", level, got, want)
		}
	}
}

func TestAFloodIsCounted(t *testing.T) {
	t.Parallel()
	l, dir, _ := open(t, slog.LevelInfo, true)
	r := request
	r.Status = 401
	for range 2000 {
		l.Request(&r)
	}
	l.listed.SetBurst(1 << 20) // the next one is listed, whatever the time is
	l.listed.SetLimit(1e9)
	for l.left.Load() > 0 {
		l.Request(&r)
	}
	text := read(t, dir, Backend)
	told := strings.Count(text, " 401 Unauthorized")
	if told < 500 || told > 1500 {
		t.Errorf("%d of 2000 are listed", told)
	}
	if !strings.Contains(text, `"not_listed":`) {
		t.Error("nothing says how many are not listed")
	}
	if n := strings.Count(read(t, dir, AccessLog), "\n"); n < 2001 {
		t.Errorf("access.log has %d", n)
	}
}

func TestSlowQueriesSortByTime(t *testing.T) {
	t.Parallel()
	l, dir, _ := open(t, slog.LevelInfo, true)
	l.SlowQuery("SELECT 1\nFROM t", 1234567*time.Microsecond)
	if got := read(t, dir, SlowQueries); !regexp.MustCompile(`^1234\.567 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ SELECT 1 FROM t\n$`).MatchString(got) {
		t.Error(got)
	}
	if got := read(t, dir, Backend); !strings.Contains(got, `"level":"INFO","msg":"slow query","statement":"SELECT 1\nFROM t"}`) {
		t.Error(got)
	}
}

// Given the file was moved away, as logrotate does; when the logs are reopened;
// then new lines are in a new file and the old ones where they were put.
func TestReopenAfterTheFileWasMoved(t *testing.T) {
	t.Parallel()
	l, dir, _ := open(t, slog.LevelInfo, true)
	l.Log.Info("old")
	moved := filepath.Join(dir, "moved.log")
	if err := os.Rename(filepath.Join(dir, "logs", Backend), moved); err != nil {
		t.Fatal(err)
	}
	l.Log.Info("between")
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	l.Log.Info("new")
	if got := read(t, moved); !strings.Contains(got, "old") || !strings.Contains(got, "between") {
		t.Errorf("the moved file: %s", got)
	}
	if got := read(t, dir, Backend); !strings.Contains(got, "new") || strings.Contains(got, "old") {
		t.Errorf("the new file: %s", got)
	}
}

// Given the link in the data directory was moved to logs/archive, as a script
// does that knows nothing of links; when the logs are reopened; then the lines
// are there, compressed, and the link is back.
func TestReopenAfterTheLinkWasMoved(t *testing.T) {
	t.Parallel()
	l, dir, _ := open(t, slog.LevelInfo, true)
	l.Log.Info("old")
	archive := filepath.Join(dir, "logs", "archive")
	if err := os.MkdirAll(archive, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, Backend), filepath.Join(archive, "backend_20260304.log")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, SlowQueries), filepath.Join(archive, "slow.log")); err != nil { // without a line
		t.Fatal(err)
	}
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	l.Log.Info("new")
	if got := read(t, dir, Backend); !strings.Contains(got, "new") || strings.Contains(got, "old") {
		t.Errorf("the new file: %s", got)
	}
	packed, err := os.Open(filepath.Join(archive, "backend_20260304.log.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	unpack, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(unpack); err != nil || !strings.Contains(string(text), "old") {
		t.Errorf("the archive has %s (%v)", text, err)
	}
	entries, err := os.ReadDir(archive)
	if err != nil || len(entries) != 1 {
		t.Errorf("the archive has %v (%v), want one file", entries, err)
	}
}

func TestLinkLeavesWhatIsThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, Backend), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := Open(dir, slog.LevelInfo, io.Discard, true)
	if err := errors.Join(l.Link(), l.Link(), l.Reopen(), l.Close()); err != nil {
		t.Fatal(err)
	}
	if got := read(t, dir, Backend); got != "mine" {
		t.Errorf("the file is %q now", got)
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	if got := Clean("a\tb\n\x1b[2J\u202ec\x00"); got != "a b [2Jc" {
		t.Errorf("Clean = %q", got)
	}
}
