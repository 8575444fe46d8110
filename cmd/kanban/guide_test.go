package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// guideScripts are the shell procedures of the manual of the system that this
// one replaces, with words that find each of them there. Copies are in
// testdata/guide; they are run with nothing changed but what guideRenames and
// the addresses of the test demand.
var guideScripts = map[string]string{
	"health_check":         "# health_check.sh",
	"performance_monitor":  "# performance_monitor.sh",
	"daily_backup":         "# daily_backup.sh",
	"database_maintenance": "# database_maintenance.sh",
	"log_rotation":         "# log_rotation.sh",
	"performance_analysis": "# performance_analysis.sh",
	"monthly_optimization": "# monthly_optimization.sh",
	"security_audit":       "# security_audit.sh",
	"emergency_recovery":   "=== EMERGENCY SYSTEM RECOVERY ===",
	"corruption_recovery":  "=== DATA CORRUPTION RECOVERY ===",
	"incident_response":    "=== SECURITY INCIDENT RESPONSE ===",
	"comprehensive_backup": "# comprehensive_backup.sh",
	"recovery_procedure":   "# recovery_procedure.sh",
	"locked_database":      "lsof agent_kanban.db  # Check",
	"slow_responses":       "EXPLAIN QUERY PLAN",
	"websocket_issues":     "Check WebSocket errors in logs",
	"log_analysis":         "# Monitor real-time logs",
	"security_monitoring":  "# Monitor for suspicious activity",
	"query_performance":    ".timer on",
}

// guideRenames put this program's name where the manual names Python's.
var guideRenames = strings.NewReplacer(
	"uvicorn app.main:app", "kanban serve",
	"pkill -f uvicorn", "pkill -f kanban",
	"pkill -f python", "pkill -f kanban",
	"grep uvicorn", "grep kanban",
)

// The copies are what the manual says, word for word.
func TestGuideScriptsAreTheManuals(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../../shared/operations-guide.md")
	if err != nil {
		t.Skip("the manual is not beside this checkout")
	}
	blocks := regexp.MustCompile("(?s)```bash\n(.*?)```").FindAllStringSubmatch(string(guide), -1)
	for name, words := range guideScripts {
		found := 0
		for _, block := range blocks {
			if !strings.Contains(block[1], words) {
				continue
			}
			found++
			copied, err := os.ReadFile(guideScript(name))
			if os.Getenv("KANBAN_UPDATE_GUIDE") != "" {
				err = os.WriteFile(guideScript(name), []byte(block[1]), 0o600)
			} else if err == nil && string(copied) != block[1] {
				t.Errorf("%s differs from the manual", guideScript(name))
			}
			if err != nil {
				t.Error(err)
			}
		}
		if found != 1 {
			t.Errorf("%q is in %d blocks of the manual, want 1", words, found)
		}
	}
}

func guideScript(name string) string { return filepath.Join("testdata", "guide", name+".sh") }

// guide is a server in its data directory, which is also where the manual's
// scripts run, and a shell in which systemctl, sudo and pkill mean this server.
type guide struct {
	*child
	shims string
	port  string
}

func newGuide(t *testing.T) *guide {
	t.Helper()
	for _, tool := range []string{"bash", "sqlite3", "curl", "gzip", "tar", "ps", "awk"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the manual's scripts need %s", tool)
		}
	}
	g := &guide{child: newChild(t, t.TempDir()), shims: t.TempDir()}
	g.env = append(g.env, "RATE_LIMIT_REQUESTS_PER_MINUTE=0")
	_, g.port, _ = net.SplitHostPort(g.addr)
	for name, text := range map[string]string{
		// Whoever asks for all interfaces gets this machine's only, and a server
		// goes to the background.
		"kanban": `args=()
for a in "$@"; do case "$a" in 0.0.0.0) a=127.0.0.1;; esac; args+=("$a"); done
if [ "$1" = serve ]; then
	nohup "$GUIDE_BIN" "${args[@]}" >>serve.out 2>&1 </dev/null &
	echo $! > "$GUIDE_PID"
	for i in $(seq 600); do
		curl -sf "http://127.0.0.1:$PORT/health/ready" >/dev/null && exit 0
		kill -0 "$(cat "$GUIDE_PID")" 2>/dev/null || { cat serve.out; exit 1; }
		sleep 0.05
	done
	exit 1
fi
exec "$GUIDE_BIN" "${args[@]}"`,
		"sudo": `exec "$@"`,
		"systemctl": `case "$1" in
start) exec kanban serve;;
stop) exec pkill -f kanban;;
reload) kill -HUP "$(cat "$GUIDE_PID")";;
restart) "$0" stop; exec "$0" start;;
esac`,
		// Ends this server only, and returns when it is gone.
		"pkill": `pid=$(cat "$GUIDE_PID" 2>/dev/null) && kill "$pid" 2>/dev/null || exit 1
while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done`,
		"watch": `exec sh -c "$1"`,
		"top":   `echo "load $(cut -d' ' -f1-3 /proc/loadavg)"`,
		// Follows what is there, and comes to an end.
		"tail":  `case "$1" in -f) shift; exec cat "$@";; esac; exec /usr/bin/tail "$@"`,
		"wscat": `exit 0`,
		// Debian builds sqlite3 without what .recover needs.
		"sqlite3": `if [ "$2" = .recover ] && ! /usr/bin/sqlite3 :memory: .recover >/dev/null 2>&1; then set -- "$1" .dump; fi
exec /usr/bin/sqlite3 "$@"`,
		"git": `exit 0`, // the data directory is no checkout
	} {
		if err := os.WriteFile(filepath.Join(g.shims, name), []byte("#!/bin/bash\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = exec.Command(filepath.Join(g.shims, "pkill")).Run() })
	return g
}

func (g *guide) pidFile() string { return filepath.Join(g.shims, "pid") }

// shell runs text in the data directory and returns all that it printed.
func (g *guide) shell(text string, args ...string) (string, error) {
	text = guideRenames.Replace(text)
	text = strings.NewReplacer("localhost:18000", "localhost:"+g.port, "--port 18000", "--port "+g.port,
		"/backup/agent-kanban", filepath.Join(g.shims, "backup")).Replace(text)
	ctx, cancel := context.WithTimeout(g.tb.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", append([]string{"-c", text, "guide.sh"}, args...)...)
	cmd.Dir = g.dir
	cmd.Env = append(append(os.Environ(), "PATH="+g.shims+":"+os.Getenv("PATH"), "GUIDE_PID="+g.pidFile(), "GUIDE_BIN="+g.bin,
		"DATA_DIR="+g.dir, "HOST=127.0.0.1", "PORT="+g.port, "LOG_LEVEL=info", "GORACE=atexit_sleep_ms=0"), g.env...)
	// Not a pipe: a server that a script starts would keep it open.
	out, err := os.CreateTemp(g.shims, "out-*")
	if err != nil {
		g.tb.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	said, _ := os.ReadFile(out.Name())
	return string(said), err
}

// must runs text in the shell and wants it to succeed.
func (g *guide) must(text string) {
	g.tb.Helper()
	if said, err := g.shell(text); err != nil {
		g.tb.Fatalf("%s: %v\n%s", text, err, said)
	}
}

// script runs one of the manual's and wants it to say what it says when all is
// well.
func (g *guide) script(name string, want ...string) string {
	g.tb.Helper()
	return g.scriptWith(name, nil, want...)
}

func (g *guide) scriptWith(name string, args []string, want ...string) string {
	g.tb.Helper()
	text, err := os.ReadFile(guideScript(name))
	if err != nil {
		g.tb.Fatal(err)
	}
	said, err := g.shell(string(text), args...)
	if err != nil {
		g.tb.Errorf("%s: %v\n%s", name, err, said)
	}
	for _, pattern := range want {
		if !regexp.MustCompile("(?m)" + pattern).MatchString(said) {
			g.tb.Errorf("%s does not say %q:\n%s", name, pattern, said)
		}
	}
	if strings.Contains(said, "❌") {
		g.tb.Errorf("%s finds something wrong:\n%s", name, said)
	}
	return said
}

// pressure sends commands until it is stopped, through restarts of the server, and
// counts those that were acknowledged.
type pressure struct {
	acked atomic.Int64
	quit  chan struct{}
	wg    sync.WaitGroup
}

func (g *guide) pressure(token string, workers int, pause time.Duration) *pressure {
	l := &pressure{quit: make(chan struct{})}
	for n := range workers {
		l.wg.Go(func() {
			var w *wire
			tick := time.NewTicker(pause)
			defer tick.Stop()
			for i := 0; ; i++ {
				select {
				case <-l.quit:
					if w != nil {
						w.conn.Close()
					}
					return
				case <-tick.C:
				}
				if w == nil {
					if w, _ = dial(g.addr); w == nil {
						continue // it is being restarted
					}
				}
				body := fmt.Sprintf(`{"board_id":1,"title":"load %d.%d","description":"%s"}`, n, i, strings.Repeat("x", 200))
				status, _, err := w.do("POST", "/api/tickets", token, "", body)
				if err != nil {
					w.conn.Close()
					w = nil
				} else if status == 201 {
					l.acked.Add(1)
				}
			}
		})
	}
	return l
}

func (l *pressure) stop() int64 {
	close(l.quit)
	l.wg.Wait()
	return l.acked.Load()
}

// verified stops the server and proves the log and what follows it.
func (g *guide) verified() {
	g.tb.Helper()
	if said, err := g.shell("systemctl stop agent-kanban-backend; kanban verify"); err != nil || !strings.Contains(said, "\nok ") && !strings.HasPrefix(said, "ok ") {
		g.tb.Errorf("verify: %v\n%s", err, said)
	}
}

// Every procedure of the manual, in the order in which an operator meets them,
// against a server under load.
func TestGuideProceduresWorkUnderLoad(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a minute")
	}
	g := newGuide(t)
	g.must("systemctl start agent-kanban-backend")
	token := g.setup()
	g.post("/api/boards", token, map[string]any{"name": "Guide", "key": "GDE"})
	g.post("/api/tickets", token, map[string]any{"board_id": 1, "title": "first"})
	if status := g.login401(); status != 401 {
		t.Fatalf("a wrong password: %d", status)
	}
	l := g.pressure(token, 4, 10*time.Millisecond)

	g.script("health_check", "✅ Health endpoint: OK", "✅ Database file: OK", "✅ WebSocket: OK", "=== Health Check Complete ===")
	g.script("performance_monitor", `^Database size: \S+`, `^WAL file size: \S+`, `Memory usage: [0-9]+`,
		`^Active WebSocket connections: [0-9]+$`, `^Health endpoint response time: 0[.,]0[0-9]+s$`)
	g.script("daily_backup", `^Backup completed: backups/daily/agent_kanban_[0-9_]+\.db$`)
	g.script("database_maintenance", "✅ Database integrity: OK", "Database maintenance completed")
	g.script("performance_analysis", `^boards: 1 records`, `^tickets: [0-9]{2,} records`, `^comments: 0 records`, `^ticket_history: [0-9]{2,} records`, `^users: 1 records`)
	g.script("monthly_optimization", `^Space reclaimed: -?[0-9]+ bytes`, "Database optimization completed")
	g.script("locked_database")
	g.script("slow_responses", `(USING (COVERING )?INDEX|SCAN tickets)`, `^[0-9]+$`)
	g.script("websocket_issues", `"active_connections":[0-9]+`)
	g.script("query_performance", `"active_connections":[0-9]+`)

	// What the log tells, as the manual asks it (slow_responses, too, asked without
	// credentials); then rotation, and on it goes.
	for token, want := range map[string]int{"": 401, token: 404} {
		if status := g.status("GET", "/api/tickets/987654", token); status != want {
			t.Errorf("a ticket that is not there: %d, want %d", status, want)
		}
	}
	g.socket(token)
	g.script("log_analysis", `request completed: principal - peer 127\.0\.0\.1 POST /api/auth/login in [0-9.]+s: 401 Unauthorized`,
		`^ +1 /api/tickets/[0-9]+ 404$`, `websocket closed`)
	g.script("security_monitoring", `"level":"WARNING".*: 401 Unauthorized`, `agent_kanban\.db`)
	g.script("security_audit", `Failed authentication attempts:\n3$`, `Rate limiting triggers:\n0$`, `Server errors:\n0$`,
		`^-rw------- .* agent_kanban\.db$`, `^Expired refresh tokens to cleanup: 0$`)
	g.script("log_rotation")
	g.must(`for i in $(seq 600); do [ -f logs/archive/backend_$(date +%Y%m%d).log.gz ] && [ -f backend.log ] && break; sleep 0.05; done
		zcat logs/archive/backend_*.log.gz | grep -q "401 Unauthorized" && ! grep -q "401 Unauthorized" backend.log`)
	if status := g.login401(); status != 401 {
		t.Fatalf("a wrong password: %d", status)
	}
	g.script("security_audit", `Failed authentication attempts:\n1$`)
	// sqlite3 does not wait for the server's turn to write: run it again, it says.
	for tries := 0; ; tries++ {
		said := g.script("incident_response")
		if g.query("SELECT COUNT(*) FROM refresh_tokens") == 0 {
			break
		}
		if tries == 10 || !strings.Contains(said, "database is locked") {
			t.Fatalf("refresh tokens are left:\n%s", said)
		}
	}
	acked := l.stop()
	if acked < 20 {
		t.Errorf("only %d commands were acknowledged meanwhile", acked)
	}
	g.verified()
	if n := g.query("SELECT COUNT(*) FROM tickets WHERE title LIKE 'load %'"); n < acked {
		t.Errorf("%d tickets of %d that were acknowledged", n, acked)
	}
	t.Logf("%d commands acknowledged", acked)
}

// Backups made the manual's way, and its ways back from them.
func TestGuideRecoveries(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	g := newGuide(t)
	g.must("systemctl start agent-kanban-backend")
	token := g.setup()
	g.post("/api/boards", token, map[string]any{"name": "Guide", "key": "GDE"})
	for n := range 50 {
		g.post("/api/tickets", token, map[string]any{"board_id": 1, "title": fmt.Sprintf("ticket %d", n)})
	}
	l := g.pressure(token, 4, 10*time.Millisecond)
	g.script("database_maintenance", "✅ Database integrity: OK")
	g.script("daily_backup", "^Backup completed: ")
	archive := g.wholeBackup()

	g.scriptWith("recovery_procedure", []string{archive},
		"✅ Database integrity verified", "✅ Recovery successful", "=== RECOVERY COMPLETED ===")
	g.script("emergency_recovery", `"status":"healthy"`)
	// A database cannot be moved away from under a server: the manual's step 1 of
	// an emergency comes first here too.
	g.must("systemctl stop agent-kanban-backend")
	g.script("corruption_recovery", "^ok$")
	g.must("systemctl start agent-kanban-backend")
	g.script("health_check", "=== Health Check Complete ===")
	l.stop()
	g.verified()
}

// status asks without a body.
func (g *guide) status(method, path, token string) int {
	w, err := dial(g.addr)
	if err != nil {
		return 0
	}
	defer w.conn.Close()
	status, _, _ := w.do(method, path, token, "", "")
	return status
}

// socket opens a WebSocket and leaves; it returns when the server has noticed.
func (g *guide) socket(token string) {
	g.tb.Helper()
	ws, res, err := websocket.DefaultDialer.Dial("ws://"+g.addr+"/ws/connect", http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		g.tb.Fatal(err)
	}
	res.Body.Close()
	ws.Close()
	g.must(`for i in $(seq 600); do grep -q "websocket closed" backend.log && break; sleep 0.05; done; grep -q "websocket closed" backend.log`)
}

// wholeBackup makes the manual's comprehensive backup and returns its archive.
// It copies the file of a database that is being written: a checkpoint meanwhile
// tears the copy, which is what kanban backup is for. Here it is made again then.
func (g *guide) wholeBackup() string {
	g.tb.Helper()
	for range 5 {
		said := g.script("comprehensive_backup", `^Backup completed: .*\.tar\.gz$`)
		archive := said[strings.LastIndex(strings.TrimSpace(said), " ")+1:]
		archive = strings.TrimSpace(archive)
		said, err := g.shell(`rm -rf whole && mkdir whole && tar -xzf "$1" -C whole && gunzip whole/*/agent_kanban.db.gz &&
			sqlite3 whole/*/agent_kanban.db "PRAGMA integrity_check;"; rm -rf whole`, archive)
		if err == nil && strings.HasPrefix(said, "ok") {
			return archive
		}
		g.tb.Logf("a copy was torn: %.200s", said)
	}
	g.tb.Fatal("five copies were torn")
	return ""
}

// login401 tries a wrong password.
func (g *guide) login401() int {
	w, err := dial(g.addr)
	if err != nil {
		return 0
	}
	defer w.conn.Close()
	status, _, _ := w.do("POST", "/api/auth/login", "", "", `{"username":"ada","password":"wrong wrong wrong"}`)
	return status
}
