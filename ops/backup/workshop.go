package backup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/agent-kanban/agent-kanban/events/sqlstore"

	"github.com/agent-kanban/agent-kanban/ops/machine"
)

// workshop is a folder for what is not finished, beside what will be: on the
// same disk, so that the last step is a rename. Who works in it holds its lock;
// what a killed process left is swept away by the next one.
type workshop struct {
	dir  string
	lock *sqlstore.FileLock
}

// Prefixes of workshops. What restores has its own, which only another restore
// sweeps away: the rest of an interrupted one may still be needed.
const (
	createPrefix  = ".kanban-backup-"
	checkPrefix   = ".kanban-check-"
	restorePrefix = ".kanban-restore-"
)

func newWorkshop(parent, prefix string) (*workshop, error) {
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, err
	}
	if err := sweep(parent, prefix); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parent, prefix)
	if err != nil {
		return nil, err
	}
	lock, err := sqlstore.Lock(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &workshop{dir: dir, lock: lock}, nil
}

func (w *workshop) path(name string) string { return filepath.Join(w.dir, name) }

func (w *workshop) close() error { return errors.Join(os.RemoveAll(w.dir), w.lock.Release()) }

// sweep removes the workshops of processes that are gone.
func sweep(parent, prefix string) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !entry.IsDir() || !strings.HasPrefix(entry.Name(), prefix) {
			continue
		}
		dir := filepath.Join(parent, entry.Name())
		if _, err := os.Stat(filepath.Join(dir, "LOCK")); errors.Is(err, fs.ErrNotExist) {
			if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) < time.Minute {
				continue // its owner is just about to lock it
			}
		}
		lock, err := sqlstore.Lock(dir)
		var locked *sqlstore.LockedError
		if errors.As(err, &locked) || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := errors.Join(os.RemoveAll(dir), lock.Release()); err != nil {
			return err
		}
	}
	return nil
}

// publish gives a finished file its name without ever replacing another one,
// and makes the name survive a power cut.
func publish(file, dir string, name Name) (string, error) {
	for {
		path := filepath.Join(dir, name.String())
		err := os.Link(file, path)
		if errors.Is(err, fs.ErrExist) {
			name.Time = name.Time.Add(time.Second)
			continue
		}
		if err != nil {
			// A file system without hard links; two of one second are rare there too.
			if err := os.Rename(file, path); err != nil {
				return "", err
			}
		}
		return path, machine.SyncFolder(dir)
	}
}
