//go:build linux

package monitor_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agent-kanban/agent-kanban/ops/machine"
	"github.com/agent-kanban/agent-kanban/ops/monitor"
)

// look runs a check once; want is a part of its message, "" = nothing found.
func look(t *testing.T, c monitor.Check, want string, severity monitor.Severity) {
	t.Helper()
	f, err := c.Run(t.Context())
	switch {
	case err != nil:
		t.Errorf("%s: %v", c.Name, err)
	case want == "" && f.Message != "", !strings.Contains(f.Message, want):
		t.Errorf("%s: %q, want %q", c.Name, f.Message, want)
	case want != "" && f.Hint == "":
		t.Errorf("%s: no hint", c.Name)
	case f.Severity != severity:
		t.Errorf("%s: severity %q, want %q", c.Name, f.Severity, severity)
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	look(t, monitor.Memory(1<<50), "", "")
	look(t, monitor.Memory(1<<20), "more than the 1 MiB of MEMORY_THRESHOLD_MB", "")
}

// What was freed and only not given back yet is not in use.
func TestMemoryThatWasFreed(t *testing.T) {
	build, _ := debug.ReadBuildInfo()
	if slices.Contains(build.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("the race detector keeps its notes on what was freed")
	}
	before, err := machine.ProcessMemory()
	if err != nil {
		t.Skip(err)
	}
	const size = 128 << 20
	check := monitor.Memory(before.RSS + size/2)
	func() {
		block := make([]byte, size)
		for i := 0; i < size; i += 4096 {
			block[i] = 1
		}
		look(t, check, "more than the ", "")
		runtime.KeepAlive(block)
	}()
	look(t, check, "", "")
}

func TestDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=20m"); err != nil {
		t.Skipf("mount: %v (needs root)", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	other := t.TempDir()
	checks := monitor.Disks("disk_data", other, "disk_backups", filepath.Join(other, "backups"), "disk_bus", dir)
	if len(checks) != 2 || checks[0].Name != "disk_data" || checks[1].Name != "disk_bus" {
		t.Errorf("disks: %+v, want those of data and bus", checks)
	}
	write := func(size int) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "file"), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := monitor.Disk("disk", filepath.Join(dir, "made", "later"))
	look(t, check, "", "")
	write(19 << 20)
	look(t, check, "has 1 MiB left of 20 MiB", "")
	write(20<<20 - 100<<10)
	look(t, check, "has 100 KiB left of 20 MiB", monitor.Critical)
	write(1)
	look(t, check, "", "")
}

func TestFileSize(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log-wal")
	check := monitor.FileSize("wal", path, 1000, "look")
	look(t, check, "", "") // there is none
	if err := os.WriteFile(path, make([]byte, 1001), 0o600); err != nil {
		t.Fatal(err)
	}
	look(t, check, "has 1001 B, more than 1000 B", "")
}

// Busy is not behind: what was the end at the last look must be reached.
func TestBehind(t *testing.T) {
	t.Parallel()
	var end, at int64
	var broken error
	check := monitor.Behind("lag", "the read model", "look",
		func(context.Context) (int64, error) { return end, broken },
		func(context.Context) (int64, error) { return at, nil })
	for _, row := range []struct {
		end, at int64
		want    string
	}{
		{100, 0, ""},    // the first look
		{5000, 100, ""}, // it got on
		{9000, 4999, "the read model is 4001 events behind"},
		{9000, 4999, "4001 events"}, // stuck
		{9000, 9000, ""},
	} {
		end, at = row.end, row.at
		look(t, check, row.want, "")
	}
	broken = errors.New("no database")
	if _, err := check.Run(t.Context()); !errors.Is(err, broken) {
		t.Errorf("a log that cannot be read: %v", err)
	}
}

func TestAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var last time.Time
		check := monitor.Age("backup", "backup", "look", time.Hour, func(context.Context) (time.Time, error) { return last, nil })
		look(t, check, "", "")
		time.Sleep(2 * time.Hour) //nolint:forbidigo // the bubble's clock
		look(t, check, "there is no backup yet", "")
		last = time.Now().Add(-90 * time.Minute)
		look(t, check, "the newest backup is 1h30m0s old", "")
		last = time.Now()
		look(t, check, "", "")
	})
}

// FAULTS 25: a clock that is set is told of once, either way.
func TestClock(t *testing.T) {
	t.Parallel()
	wall, steady := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), time.Duration(0)
	check := monitor.Clock(func() time.Time { return wall }, func() time.Duration { return steady })
	for _, row := range []struct {
		wall, steady time.Duration
		want         string
	}{
		{30 * time.Second, 30 * time.Second, ""},
		{31 * time.Second, 30 * time.Second, ""}, // a time server's correction
		{30*time.Second - time.Hour, 30 * time.Second, "back by 1h0m0s"},
		{30 * time.Second, 30 * time.Second, ""},
		{87600 * time.Hour, 30 * time.Second, "forward by 87599h59m30s"},
		{30 * time.Second, 30 * time.Second, ""},
	} {
		wall, steady = wall.Add(row.wall), steady+row.steady
		look(t, check, row.want, "")
	}
	look(t, monitor.Clock(nil, nil), "", "") // the machine's own
}
