package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The stream knows events that an older database, put back, lacks: the server
// starts, saves them and says so until somebody has looked at them, and what it
// shows is a fold of the log that is there.
func TestOlderDatabaseUnderANewerStream(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := newChild(t, dir)
	c.start()
	token := c.setup()
	c.post("/api/boards", token, map[string]any{"name": "Website", "key": "WEB"})
	ticket := func(title string) {
		c.post("/api/tickets", token, map[string]any{"board_id": 1, "title": title})
	}
	for i := range 5 {
		ticket(fmt.Sprint("kept ", i))
	}
	stop := func() {
		t.Helper()
		if err := c.stop(); err != nil {
			t.Fatalf("stop: %v\n%s", err, c.out)
		}
	}
	stop()
	file := filepath.Join(dir, "agent_kanban.db")
	backup, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before := c.query("SELECT max(position) FROM events")
	c.start()
	for i := range 7 {
		ticket(fmt.Sprint("lost ", i))
	}
	stop()
	after := c.query("SELECT max(position) FROM events")
	if err := os.WriteFile(file, backup, 0o600); err != nil {
		t.Fatal(err)
	}

	c.start()
	saved, err := os.ReadFile(filepath.Join(dir, "recovered", fmt.Sprintf("events-%d-%d.jsonl", before+1, after)))
	if err != nil || strings.Count(string(saved), "\n") != 7 || !strings.Contains(string(saved), "lost 6") {
		t.Errorf("saved %q, %v, want the 7 events", saved, err)
	}
	degraded := func() string {
		t.Helper()
		res, err := http.Get(c.url() + "/health")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if got := degraded(); !strings.Contains(got, "recovered_events") {
		t.Errorf("health = %s, want recovered_events", got)
	}
	ticket("new")
	if out, err := c.run("verify"); err != nil {
		t.Errorf("verify: %v\n%s", err, out)
	}
	stop()
	if !strings.Contains(c.out.String(), "the stream holds acknowledged events that the log lacks") {
		t.Errorf("the server does not say what it found:\n%s", c.out)
	}
	c.start()
	if got := degraded(); !strings.Contains(got, "recovered_events") {
		t.Errorf("after another start health = %s, want recovered_events", got)
	}
	stop()
	if out, err := c.run("verify"); err != nil {
		t.Errorf("verify: %v\n%s", err, out)
	}
}
