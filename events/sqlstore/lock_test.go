package sqlstore_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agent-kanban/agent-kanban/events/sqlstore"
)

func TestLockOfAnotherProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// What a longer pid left behind must not show through.
	if err := os.WriteFile(filepath.Join(dir, "LOCK"), []byte("123456789012\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	other := exec.Command(os.Args[0])
	other.Env = append(os.Environ(), "SQLSTORE_TEST_LOCK_DIR="+dir)
	stdin, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		_ = other.Wait()
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "locked <nil>\n" {
		t.Fatalf("the other process: got %q (%v)", line, err)
	}

	var locked *sqlstore.LockedError
	_, err = sqlstore.Lock(dir)
	if !errors.As(err, &locked) || locked.PID != other.Process.Pid {
		t.Fatalf("lock: got %v, want a LockedError with pid %d", err, other.Process.Pid)
	}
	if want := fmt.Sprintf("locked by pid %d", other.Process.Pid); !strings.Contains(err.Error(), want) {
		t.Errorf("message: got %q, want %q in it", err, want)
	}

	// However the holder ends, the directory is free.
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait()
	lock, err := sqlstore.Lock(dir)
	if err != nil {
		t.Fatalf("lock after a kill: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "LOCK"))
	if want := fmt.Sprintf("%d\n", os.Getpid()); err != nil || string(text) != want {
		t.Errorf("LOCK: got %q (%v), want %q", text, err, want)
	}
	if err := lock.Release(); err != nil {
		t.Errorf("release: %v", err)
	}
}

func TestLockTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lock, err := sqlstore.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	var locked *sqlstore.LockedError
	if _, err := sqlstore.Lock(dir); !errors.As(err, &locked) || locked.PID != os.Getpid() {
		t.Errorf("second lock: got %v, want a LockedError with pid %d", err, os.Getpid())
	}
	for range 2 {
		if err := lock.Release(); err != nil {
			t.Errorf("release: %v", err)
		}
	}
	again, err := sqlstore.Lock(dir)
	if err != nil {
		t.Fatalf("lock after release: %v", err)
	}
	if err := again.Release(); err != nil {
		t.Error(err)
	}
	if err := (*sqlstore.FileLock)(nil).Release(); err != nil {
		t.Errorf("release of nil: %v", err)
	}
	if _, err := sqlstore.Lock(filepath.Join(dir, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("lock in a missing directory: got %v", err)
	}
}
