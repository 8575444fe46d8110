package main

import (
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
