package audit_test

import (
	"compress/gzip"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/ops/audit"
)

var now = time.Date(2025, 8, 20, 12, 0, 0, 0, time.UTC)

func write(t *testing.T, path, text string) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if strings.HasSuffix(path, ".gz") {
		zip := gzip.NewWriter(file)
		_, err = zip.Write([]byte(text))
		if err == nil {
			err = zip.Close()
		}
	} else {
		_, err = file.WriteString(text)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestLogs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "archive"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "backend.log"), `2025-08-20T11:00:00Z INFO request completed: principal - peer 10.0.0.9 POST /api/auth/login status 401 0.004s
2025-08-20T11:00:01Z INFO request completed: principal - peer 10.0.0.9 POST /api/auth/login/ status 401 0.004s
2025-08-01T11:00:01Z INFO request completed: principal - peer 10.0.0.9 POST /api/auth/login status 401 0.004s
{"time":"2025-08-20T11:00:02Z","level":"WARN","msg":"request completed: principal 3 peer ::1 GET /api/boards/1 status 403 0.001s"}
2025-08-20 11:00:03 WARN request completed: principal 3 peer 10.0.0.8 GET /api/boards status 429 0.001s
2025-08-20 11:00:04 ERROR request completed: principal 3 peer 10.0.0.8 GET /api/boards status 500 0.001s
2025-08-20 11:00:05 INFO serving url=http://x status 500
request completed: principal 3 peer 10.0.0.8 GET /a?b=status%20500 status 404 0.001s`)
	write(t, filepath.Join(dir, "archive", "backend_20250819.log.gz"), `2025-08-19 11:00:03 WARN request completed: principal - peer 10.0.0.7 POST /api/auth/login status 401 0.001s`+"\n")
	write(t, filepath.Join(dir, "access.log"), `10.0.0.9 - - [20/Aug/2025:11:00:00 +0000] "POST /api/auth/login HTTP/1.1" 401 120
10.0.0.9 - ada [20/Aug/2025:11:00:00 +0000] "GET /api/boards HTTP/1.1" 200 1200
10.0.0.9 - ada [01/Aug/2025:11:00:00 +0000] "GET /api/boards HTTP/1.1" 200 1200
not a line`)
	write(t, filepath.Join(dir, "backend-old.log"), `request completed: principal - peer 10.0.0.7 POST /api/auth/login status 401 0.001s`)
	long := now.Add(-30 * 24 * time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "backend-old.log"), long, long); err != nil {
		t.Fatal(err)
	}
	c, err := audit.Logs(t.Context(), dir, now.Add(-7*24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if c.FailedLogins != 3 || c.Refused != 1 || c.RateLimited != 1 || c.ServerErrors != 1 || c.Files != 3 {
		t.Errorf("%+v", c)
	}
	if want := map[string]int64{"4xx": 1, "2xx": 1}; c.Requests != 2 || !maps.Equal(c.Statuses, want) {
		t.Errorf("%d requests %v, want %v", c.Requests, c.Statuses, want)
	}
	if w := c.Worst(1); len(w) != 1 || w[0] != (audit.Peer{Address: "10.0.0.9", Failed: 2}) {
		t.Errorf("worst: %v", w)
	}
}

func TestLogsThatAreMissingOrDamaged(t *testing.T) {
	t.Parallel()
	if c, err := audit.Logs(t.Context(), filepath.Join(t.TempDir(), "missing"), now); err != nil || c.Files != 0 {
		t.Errorf("missing: %+v, %v", c, err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "backend-1.log.gz"), []byte("no gzip"), 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "backend.log"), strings.Repeat("x", 3<<20)+"\nrequest completed: principal - peer a GET / status 503 0.001s\n")
	if c, err := audit.Logs(t.Context(), dir, now); err == nil || c.ServerErrors != 1 {
		t.Errorf("damaged: %+v, %v; want an error, and what could be read", c, err)
	}
}
