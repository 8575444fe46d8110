package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/ops/backup"
)

// Given a server under load that copies its log to another disk, When it is
// killed and its machine is lost, Then a backup and the copy bring back
// everything that was acknowledged more than a second before.
func TestLosesASecondAtMost(t *testing.T) {
	t.Parallel()
	dir, elsewhere := t.TempDir(), t.TempDir()
	c := newChild(t, dir)
	c.env = []string{"BACKUP_SHIP_TO=" + filepath.Join(elsewhere, "log"), "RATE_LIMIT_REQUESTS_PER_MINUTE=0"}
	c.start()
	token := c.setup()
	c.post("/api/boards", token, map[string]any{"name": "Website", "key": "WEB"})
	if out, err := c.run("backup", "--out", elsewhere); err != nil {
		t.Fatalf("backup: %v\n%s", err, out)
	}
	c.post("/api/auth/register", "", map[string]any{"username": "late", "password": "late horse battery"})
	// Load for long enough that some of it is older than a second at the end.
	acknowledged := map[string]time.Time{}
	for begin := time.Now(); time.Since(begin) < 2500*time.Millisecond; {
		title := fmt.Sprint("ticket ", len(acknowledged))
		c.post("/api/tickets", token, map[string]any{"board_id": 1, "title": title})
		acknowledged[title] = time.Now()
	}
	killed := time.Now()
	c.kill()

	found, err := backup.List(elsewhere)
	if err != nil || len(found) != 1 {
		t.Fatalf("backups: %v, %v", found, err)
	}
	restored := newChild(t, t.TempDir())
	out, err := restored.run("restore", found[0].Path, "--log", filepath.Join(elsewhere, "log"), "--json")
	if err != nil {
		t.Fatalf("restore: %v\n%s", err, out)
	}
	var done backup.Restored
	if err := json.Unmarshal([]byte(out), &done); err != nil || done.Replayed == 0 || !done.NewLogID {
		t.Errorf("restored: %s (%v), want events from the copy and a new id", out, err)
	}
	if out, err := restored.run("verify"); err != nil {
		t.Errorf("verify: %v\n%s", err, out)
	}
	lost, old := 0, 0
	for title, at := range acknowledged {
		here := restored.query("SELECT count(*) FROM tickets WHERE title = '" + title + "'")
		if here == 0 {
			lost++
		}
		if killed.Sub(at) > time.Second {
			old++
			if here != 1 {
				t.Errorf("%s was acknowledged %s before the end and is lost", title, killed.Sub(at))
			}
		}
	}
	if old == 0 {
		t.Error("nothing is old enough to prove anything")
	}
	t.Logf("%d acknowledged, %d of them in the last second, %d lost", len(acknowledged), len(acknowledged)-old, lost)

	// The restored server serves, with the passwords of before, also of who came
	// after the backup.
	restored.start()
	restored.post("/api/auth/login", "", map[string]any{"username": "late", "password": "late horse battery"})
	reply := restored.post("/api/tickets", restored.login(), map[string]any{"board_id": 1, "title": "new"})
	if key, _ := reply["key"].(string); !strings.HasPrefix(key, "WEB-") {
		t.Errorf("a ticket of the restored server: %v", reply)
	}
	if err := restored.stop(); err != nil {
		t.Error(err)
	}
}

// kanban backup --follow copies beside a running server, until it is told to end.
func TestFollow(t *testing.T) {
	t.Parallel()
	dir, elsewhere := t.TempDir(), t.TempDir()
	c := newChild(t, dir)
	c.start()
	token := c.setup()
	cmd := c.command("backup", "--follow", "--out", elsewhere, "--json")
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(said).ReadString('\n')
	if err != nil || !strings.Contains(line, "copying log") {
		t.Fatalf("it says %q, %v", line, err)
	}
	c.post("/api/boards", token, map[string]any{"name": "Website", "key": "WEB"})
	want := c.query("SELECT max(position) FROM events")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	var status backup.ShipperStatus
	if err := json.Unmarshal(out.Bytes(), &status); err != nil || status.Position < want {
		t.Errorf("it says %s (%v), want position %d", out.String(), err, want)
	}
	if err := c.stop(); err != nil {
		t.Error(err)
	}
}
