package backup

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Given a restore that is ready, When the process dies after any of its steps,
// Then Finish leaves the new state whole and the old one whole aside.
func TestFinishAfterACrashAnywhere(t *testing.T) {
	t.Parallel()
	for _, old := range []string{"agent_kanban.db agent_kanban.db-wal agent_kanban.db-shm jetstream recovered", "agent_kanban.db", "jetstream", ""} {
		for _, coming := range []string{"agent_kanban.db", "agent_kanban.db recovered"} {
			for steps := range 9 {
				t.Run(fmt.Sprintf("%s/%s/%d", old, coming, steps), func(t *testing.T) {
					t.Parallel()
					dir := t.TempDir()
					w, err := newWorkshop(dir, restorePrefix)
					if err != nil {
						t.Fatal(err)
					}
					fill(t, dir, old, "old")
					fill(t, w.dir, coming, "new")
					o := RestoreOptions{DataDir: dir, Database: filepath.Join(dir, databaseName), Now: fixedTime}
					s, aside, err := o.plan(w)
					if err != nil {
						t.Fatal(err)
					}
					crashAfter(t, &s, dir, steps)
					if err := w.lock.Release(); err != nil { // the kernel does that
						t.Fatal(err)
					}
					if !Pending(dir) {
						t.Fatal("there is nothing to finish")
					}
					for range 2 { // the second has nothing to do
						if err := Finish(dir); err != nil {
							t.Fatal(err)
						}
					}
					if (aside == "") != (old == "") {
						t.Errorf("set aside = %q", aside)
					}
					holds(t, dir, coming, "new", filepath.Base(aside))
					if aside != "" {
						holds(t, aside, old, "old", "")
					}
				})
			}
		}
	}
}

// crashAfter does what begin does, up to a step.
func crashAfter(t *testing.T, s *swap, dir string, steps int) {
	t.Helper()
	if err := s.write(dir); err != nil {
		t.Fatal(err)
	}
	all := append(append([]move{}, s.Away...), s.In...)
	for _, m := range all {
		if !exists(m.From) {
			continue
		}
		if steps--; steps < 0 {
			return
		}
		if err := m.do(); err != nil {
			t.Fatal(err)
		}
	}
}

func fixedTime() time.Time { return time.Date(2026, 8, 15, 2, 0, 0, 0, time.UTC) }

func fill(t *testing.T, dir, list, text string) {
	t.Helper()
	for name := range strings.FieldsSeq(list) {
		path := filepath.Join(dir, name)
		if !strings.Contains(name, ".") {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
			path = filepath.Join(path, "file")
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// holds fails where a folder has not exactly these, LOCK apart, with this text.
func holds(t *testing.T, dir, list, text, besides string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for name := range strings.FieldsSeq(list) {
		want[name] = true
	}
	for _, entry := range entries {
		if entry.Name() == besides {
			continue
		}
		if !want[entry.Name()] {
			t.Errorf("%s holds %s", dir, entry.Name())
		}
		delete(want, entry.Name())
		path := filepath.Join(dir, entry.Name())
		if entry.IsDir() {
			path = filepath.Join(path, "file")
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("%s = %q, %v, want %q", path, got, err, text)
		}
	}
	if len(want) > 0 {
		t.Errorf("%s lacks %v", dir, want)
	}
}
