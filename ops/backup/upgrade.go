package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/agent-kanban/agent-kanban/ops/machine"
)

// upgradesKept is how many copies of before an upgrade are kept.
const upgradesKept = 3

var upgradePattern = regexp.MustCompile(`^before-upgrade-(\d{8}T\d{6}Z)-(\d+)\.db$`)

// BeforeUpgrade copies a database, which may be open in this process, to
// before-upgrade-<UTC time>-<position>.db in the folder out, and returns the path
// when it is safe on the disk. To go back, put that file in the place of the
// database. Where the newest such copy is of the same moment it is returned: a
// start that fails again and again makes one copy. Only the newest three are
// kept. Errors: ErrSourceDamaged, or that of the disk; nothing is left then.
func BeforeUpgrade(ctx context.Context, database, out string, now time.Time) (path string, err error) {
	o := Options{Database: database, Out: out}
	for _, p := range []*string{&o.Database, &o.Out} {
		if *p, err = filepath.Abs(*p); err != nil {
			return "", fmt.Errorf("copy before the upgrade: %w", err)
		}
	}
	w, err := newWorkshop(o.Out, createPrefix)
	if err != nil {
		return "", fmt.Errorf("copy before the upgrade: %w", err)
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if path, err = o.beforeUpgrade(ctx, w, now); err != nil {
		return "", fmt.Errorf("copy before the upgrade: %w", err)
	}
	return path, nil
}

func (o *Options) beforeUpgrade(ctx context.Context, w *workshop, now time.Time) (string, error) {
	if err := o.room(); err != nil {
		return "", err
	}
	copied := w.path(databaseName)
	if err := copyDatabase(ctx, hurried(ctx), o.Database, copied, nil); err != nil {
		return "", err
	}
	m, err := survey(ctx, hurried(ctx), copied)
	if err != nil {
		return "", err
	}
	old, err := UpgradeCopies(o.Out)
	if err != nil {
		return "", err
	}
	if len(old) > 0 {
		if was, err := survey(ctx, hurried(ctx), old[0].Path); err == nil && was.LogID == m.LogID && was.Head() == m.Head() && was.Schema == m.Schema {
			return old[0].Path, nil
		}
	}
	if err := os.Chmod(copied, 0o600); err != nil {
		return "", err
	}
	if err := syncFile(copied); err != nil {
		return "", err
	}
	path := filepath.Join(o.Out, fmt.Sprintf("before-upgrade-%s-%d.db", now.UTC().Format(nameTime), m.Position))
	if err := os.Rename(copied, path); err != nil {
		return "", err
	}
	if err := machine.SyncFolder(o.Out); err != nil {
		return "", err
	}
	for i, file := range old {
		if i >= upgradesKept-1 && file.Path != path {
			if err := os.Remove(file.Path); err != nil {
				return "", err
			}
		}
	}
	return path, nil
}

// UpgradeCopies lists the copies of before an upgrade, the newest first, with the
// position of each.
func UpgradeCopies(dir string) (found []Listed, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, entry := range entries {
		part := upgradePattern.FindStringSubmatch(entry.Name())
		if part == nil || !entry.Type().IsRegular() {
			continue
		}
		at, err := time.Parse(nameTime, part[1])
		position, err2 := strconv.ParseInt(part[2], 10, 64)
		info, err3 := entry.Info()
		if err := errors.Join(err, err2, err3); err != nil {
			continue // not ours, or just removed
		}
		found = append(found, Listed{Path: filepath.Join(dir, entry.Name()), Time: at, Position: position, Size: info.Size()})
	}
	slices.SortFunc(found, func(a, b Listed) int { return b.Time.Compare(a.Time) })
	return found, nil
}
