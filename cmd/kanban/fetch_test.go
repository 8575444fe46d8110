package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Given a backup in a bucket, When it is restored by its address, Then it is
// fetched with the credentials of the environment; without them it is refused.
func TestRestoreFromABucket(t *testing.T) {
	t.Parallel()
	source, restored := newChild(t, t.TempDir()), newChild(t, t.TempDir())
	cmd := source.command("user", "create", "--admin", "pat")
	cmd.Stdin = strings.NewReader("correct horse battery\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("user: %v\n%s", err, out)
	}
	if out, err := source.run("backup"); err != nil {
		t.Fatalf("backup: %v\n%s", err, out)
	}
	found, err := filepath.Glob(filepath.Join(source.dir, "backups", "kanban-*.tar.zst"))
	if err != nil || len(found) != 1 {
		t.Fatalf("backups: %v, %v", found, err)
	}
	object := "/kanban/daily/" + filepath.Base(found[0])
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != object || !strings.Contains(r.Header.Get("Authorization"), "Credential=key/") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("ETag", `"1"`)
		http.ServeFile(w, r, found[0])
	}))
	t.Cleanup(store.Close)
	run := func(address string, env ...string) (string, error) {
		cmd := restored.command("restore", address)
		temporary := t.TempDir()
		cmd.Env = append(append(cmd.Env, "TMPDIR="+temporary), env...)
		out, err := cmd.CombinedOutput()
		if left, _ := os.ReadDir(temporary); len(left) > 0 {
			t.Errorf("%s is left in the temporary folder", left[0].Name())
		}
		return string(out), err
	}
	who := []string{"AWS_ACCESS_KEY_ID=key", "AWS_SECRET_ACCESS_KEY=very-secret", "AWS_REGION=eu-central-1"}
	for name, c := range map[string]struct {
		address string
		env     []string
		want    string
	}{
		"no credentials": {store.URL + object, nil, "AWS_ACCESS_KEY_ID"},
		"no such object": {store.URL + "/kanban/daily/kanban-20260815T020000Z-1.tar.zst", who, "bucket kanban"},
		"no bucket":      {store.URL + "/file", who, "names no bucket"},
	} {
		out, err := run(c.address, c.env...)
		if err == nil || !strings.Contains(out, c.want) || strings.Contains(out, "very-secret") {
			t.Errorf("%s: %v\n%s\nwant a refusal with %q", name, err, out, c.want)
		}
	}
	if out, err := run(store.URL+object, who...); err != nil || !strings.Contains(out, "restored 1 event") {
		t.Errorf("restore: %v\n%s", err, out)
	}
	if out, err := restored.run("verify"); err != nil {
		t.Errorf("verify: %v\n%s", err, out)
	}
}

// Given a restore that was interrupted when everything was ready, When somebody
// reads, Then they are told; and whoever takes the data directory finishes it.
func TestInterruptedRestoreIsFinished(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := newChild(t, dir)
	user := func(name string) {
		t.Helper()
		cmd := c.command("user", "create", "--admin", name)
		cmd.Stdin = strings.NewReader("correct horse battery\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("user: %v\n%s", err, out)
		}
	}
	user("pat")
	database, staged := filepath.Join(dir, "agent_kanban.db"), filepath.Join(dir, ".kanban-restore-1")
	ready, err := os.ReadFile(database)
	if err != nil {
		t.Fatal(err)
	}
	user("old")
	if err := os.Mkdir(staged, 0o700); err != nil {
		t.Fatal(err)
	}
	aside := filepath.Join(dir, "before-restore-1", "agent_kanban.db")
	pending := fmt.Sprintf(`{"staged": %q, "away": [{"from": %q, "to": %q}], "in": [{"from": %q, "to": %q}]}`,
		staged, database, aside, filepath.Join(staged, "agent_kanban.db"), database)
	for path, text := range map[string][]byte{filepath.Join(staged, "agent_kanban.db"): ready, filepath.Join(dir, "restore.pending"): []byte(pending)} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := c.run("verify"); err == nil || !strings.Contains(out, "interrupted") || !strings.Contains(out, "Try: kanban serve") {
		t.Errorf("verify: %v\n%s", err, out)
	}
	c.start()
	if n := c.query("SELECT count(*) FROM users"); n != 1 {
		t.Errorf("%d users after the start, want the restored one", n)
	}
	if err := c.stop(); err != nil {
		t.Error(err)
	}
	for path, want := range map[string]bool{aside: true, staged: false, filepath.Join(dir, "restore.pending"): false} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", path, err == nil, want)
		}
	}
}
