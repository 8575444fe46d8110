package monitor

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"github.com/agent-kanban/agent-kanban/ops/machine"
)

// bytes says a size as people read it: "1.5 GiB".
func bytes(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	value, unit := float64(n), 0
	for value >= 1024 && unit < len(units)-1 {
		value, unit = value/1024, unit+1
	}
	if unit == 0 || value == math.Trunc(value) {
		return fmt.Sprintf("%.0f %s", value, units[unit])
	}
	return fmt.Sprintf("%.1f %s", value, units[unit])
}

// Memory finds a process that has more in RAM than limit, in bytes. What it has freed
// and only not given back yet does not count: where there is more, it is given back.
func Memory(limit int64) Check {
	return Check{Name: "memory", After: 2, Run: func(context.Context) (Finding, error) {
		m, err := machine.ProcessMemory()
		if err == nil && m.RSS > limit {
			debug.FreeOSMemory()
			m, err = machine.ProcessMemory()
		}
		if err != nil || m.RSS <= limit {
			return Finding{}, err
		}
		return Finding{
			Message: fmt.Sprintf("the server uses %s of memory, more than the %s of MEMORY_THRESHOLD_MB", bytes(m.RSS), bytes(limit)),
			Hint:    "look at /health/memory; raise MEMORY_THRESHOLD_MB if the machine has more to give, or restart the server in a quiet hour",
		}, nil
	}}
}

// Little space is a tenth of a disk, or less where that is much; there is hardly
// any at a fiftieth. In bytes.
const (
	little = 512 << 20
	hardly = 64 << 20
)

// Disks looks at the disks that hold the folders, each once: names and folders
// alternate ("disk_data", "/var/lib/kanban", …), and a folder on the disk of an
// earlier one is left out. A folder need not exist yet.
func Disks(folders ...string) []Check {
	var checks []Check
	var seen []string // devices; their number has another type on each system
	for i := 0; i+1 < len(folders); i += 2 {
		var st syscall.Stat_t
		if err := syscall.Stat(existing(folders[i+1]), &st); err == nil {
			device := fmt.Sprint(st.Dev)
			if slices.Contains(seen, device) {
				continue
			}
			seen = append(seen, device)
		}
		checks = append(checks, Disk(folders[i], folders[i+1]))
	}
	return checks
}

// Disk finds a disk that is nearly full: the one that holds path.
func Disk(name, path string) Check {
	return Check{Name: name, Run: func(context.Context) (Finding, error) {
		s, err := machine.Disk(existing(path))
		if err != nil {
			return Finding{}, err
		}
		f := Finding{
			Message: fmt.Sprintf("the disk that holds %s has %s left of %s", path, bytes(s.Free), bytes(s.Total)),
			Hint:    "delete or move what is not needed there (old logs, old backups), or enlarge the disk: without space nothing can be written",
		}
		switch {
		case s.Free < min(hardly, s.Total/50):
			f.Severity = Critical
		case s.Free >= min(little, s.Total/10):
			return Finding{}, nil
		}
		return f, nil
	}}
}

// existing is path, or what there is of it: a folder that is made later will be on
// that disk.
func existing(path string) string {
	for {
		if _, err := machine.Disk(path); err == nil || filepath.Dir(path) == path {
			return path
		}
		path = filepath.Dir(path)
	}
}

// FileSize finds a file that is longer than limit, in bytes.
func FileSize(name, path string, limit int64, hint string) Check {
	return Check{Name: name, After: 2, Run: func(context.Context) (Finding, error) {
		size, err := machine.FileSize(path)
		if err != nil || size <= limit {
			return Finding{}, err
		}
		return Finding{Message: fmt.Sprintf("%s has %s, more than %s", path, bytes(size), bytes(limit)), Hint: hint}, nil
	}}
}

// Behind finds a follower of the log that has not reached by now what was its
// end at the last look: what is slow is told, and what is busy is not. what names
// it ("the read model").
func Behind(name, what, hint string, end, at func(ctx context.Context) (int64, error)) Check {
	last := int64(0)
	return Check{Name: name, Run: func(ctx context.Context) (Finding, error) {
		reached, err := at(ctx)
		if err != nil {
			return Finding{}, err
		}
		due := last
		if last, err = end(ctx); err != nil || reached >= due {
			return Finding{}, err
		}
		return Finding{
			Message: fmt.Sprintf("%s is %d events behind the log and has not caught up since the last look", what, last-reached), Hint: hint,
		}, nil
	}}
}

// Age finds something that was last done longer ago than limit, or never since
// the check was made. at returns a zero time where it was not done yet.
func Age(name, what, hint string, limit time.Duration, at func(ctx context.Context) (time.Time, error)) Check {
	began := time.Now()
	return Check{Name: name, Run: func(ctx context.Context) (Finding, error) {
		last, err := at(ctx)
		if err != nil {
			return Finding{}, err
		}
		since, never := time.Since(last), last.IsZero()
		if never {
			since = time.Since(began)
		}
		switch {
		case since <= limit:
			return Finding{}, nil
		case never:
			return Finding{Message: "there is no " + what + " yet", Hint: hint}, nil
		default:
			return Finding{Message: fmt.Sprintf("the newest %s is %s old", what, since.Round(time.Minute)), Hint: hint}, nil
		}
	}}
}

// jump is by how much the clock of the wall may differ from the steady one
// between two looks: time servers correct less than that without a jump.
const jump = 5 * time.Second

// Clock finds that the machine's clock was set, forward or back, since the last
// look. wall is the time of day, steady one that nobody sets; nil = the
// machine's.
func Clock(wall func() time.Time, steady func() time.Duration) Check {
	if wall == nil {
		wall = time.Now
	}
	if steady == nil {
		began := time.Now()
		steady = func() time.Duration { return time.Since(began) }
	}
	lastWall, lastSteady := wall().Round(0), steady() // Round drops the steady part of a time
	return Check{Name: "clock", Run: func(context.Context) (Finding, error) {
		nowWall, nowSteady := wall().Round(0), steady()
		by := nowWall.Sub(lastWall) - (nowSteady - lastSteady)
		lastWall, lastSteady = nowWall, nowSteady
		if by.Abs() < jump {
			return Finding{}, nil
		}
		direction := "forward"
		if by < 0 {
			direction = "back"
		}
		return Finding{
			Message: fmt.Sprintf("the clock of this machine went %s by %s at once (it was set, or the machine slept)", direction, by.Abs().Round(time.Second)),
			Hint:    "see to it that a time server keeps the clock (timedatectl); events keep their order, and leases their length",
		}, nil
	}}
}
