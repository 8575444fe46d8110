package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/agent-kanban/agent-kanban/ops/machine"
)

// Private checks that nobody else on the machine may read the files and folders
// that match the patterns; what is not there is not missed. secrets are those
// where it is a failure. The repair takes the rights away.
func Private(name string, secrets, others []string) Check {
	look := func() (open []string, worst Level, err error) {
		worst = OK
		for i, patterns := range [][]string{secrets, others} {
			for _, pattern := range patterns {
				paths, err := filepath.Glob(pattern)
				if err != nil {
					return nil, Fail, err
				}
				for _, path := range paths {
					info, err := os.Lstat(path)
					if errors.Is(err, fs.ErrNotExist) {
						continue
					}
					if err != nil {
						return nil, Fail, err
					}
					if info.Mode()&fs.ModeSymlink != 0 || info.Mode().Perm()&0o077 == 0 {
						continue
					}
					open = append(open, path)
					if i == 0 {
						worst = Fail
					} else if worst == OK {
						worst = Warn
					}
				}
			}
		}
		return open, worst, nil
	}
	return Check{
		Name: name,
		Look: func(context.Context) Finding {
			open, worst, err := look()
			switch {
			case err != nil:
				return Failure("run it as the user of the server", "cannot be told: %v", err)
			case len(open) == 0:
				return Okay("nobody else can read the data")
			}
			return Finding{worst, "other users of this machine can read " + some(open), "chmod go= on them, or kanban doctor --repair"}
		},
		Repair: func(context.Context) (string, error) {
			open, _, err := look()
			for _, path := range open {
				info, errStat := os.Lstat(path)
				if errStat == nil {
					errStat = os.Chmod(path, info.Mode().Perm()&^0o077)
				}
				err = errors.Join(err, errStat)
			}
			return "took away the rights of others on " + some(open), err
		},
	}
}

// some joins the first few.
func some(list []string) string {
	const most = 5
	if len(list) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
	}
	return strings.Join(list, ", ")
}

// Disk checks the free space where dir is: needed bytes at least, and a tenth of
// the disk.
func Disk(dir string, needed int64) Check {
	return Check{Name: "disk", Look: func(context.Context) Finding {
		const hint = "free some space: old backups, logs/*.gz, damaged-* folders"
		space, err := machine.Disk(dir)
		switch {
		case err != nil:
			return Failure("look at the disk", "%v", err)
		case space.Free < needed:
			return Failure(hint, "%d MiB free, and %d MiB are needed to go on", space.Free>>20, needed>>20)
		case space.Used() > 0.9:
			return Warning(hint, "%.0f %% of the disk is in use, %d MiB free", 100*space.Used(), space.Free>>20)
		}
		return Okay("%d MiB free", space.Free>>20)
	}}
}

// Leftovers checks for half-made files that match the patterns; the repair
// deletes them. They must be ones that nothing but the interrupted work needs.
func Leftovers(patterns ...string) Check {
	find := func() (paths []string) {
		for _, pattern := range patterns {
			found, _ := filepath.Glob(pattern) // the patterns are well-formed
			paths = append(paths, found...)
		}
		return paths
	}
	return Check{
		Name: "leftovers",
		Look: func(context.Context) Finding {
			if paths := find(); len(paths) > 0 {
				return Warning("kanban doctor --repair deletes them", "work was interrupted and left %s", some(paths))
			}
			return Okay("no half-made files")
		},
		Repair: func(context.Context) (string, error) {
			paths := find()
			var err error
			for _, path := range paths {
				err = errors.Join(err, os.RemoveAll(path))
			}
			return "deleted " + some(paths), err
		},
	}
}
