package backup

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/ops"
)

// Folds is what only those who know the read models can do. Both are given a
// database that nobody else uses.
type Folds struct {
	// Settle makes the read models fit for use where they are not, and in any
	// case where anew is set.
	Settle func(ctx context.Context, db *sqlstore.DB, anew bool) error
	// Verify checks the log, the ledger, and the read models against a fold.
	Verify func(ctx context.Context, db *sqlstore.DB) (*ops.Verification, error)
}

// Checked is what Check found to be true of an archive.
type Checked struct {
	Path         string            `json:"path"`
	Size         int64             `json:"size_bytes"`
	Encrypted    bool              `json:"encrypted"`
	Manifest     Manifest          `json:"manifest"`
	Verification *ops.Verification `json:"verification"`
	Took         time.Duration     `json:"took_ns"`
}

// Check proves that an archive can be restored: it extracts it into a temporary
// folder of dir ("" = os.TempDir()), which needs room for the database, and
// checks sums, SQLite's integrity, the counts and the head of the manifest, the
// hash chain, and that the read models are a fold of the log. Anything amiss is
// ErrDamaged.
func (a *Archive) Check(ctx context.Context, dir string, folds Folds) (_ *Checked, err error) {
	began := time.Now()
	w, err := newWorkshop(cmp.Or(dir, os.TempDir()), checkPrefix)
	if err != nil {
		return nil, fmt.Errorf("check backup: %w", err)
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := a.Extract(ctx, w.dir); err != nil {
		return nil, err
	}
	if err := a.examine(ctx, w.path(databaseName)); err != nil {
		return nil, fmt.Errorf("check backup %s: %w", a.Path, err)
	}
	v, err := prove(ctx, w.path(databaseName), folds)
	if err != nil {
		return nil, fmt.Errorf("check backup %s: %w", a.Path, err)
	}
	return &Checked{a.Path, a.Size, a.Encrypted, a.Manifest, v, time.Since(began)}, nil
}

// prove opens a database that nobody else uses and verifies what is in it.
func prove(ctx context.Context, path string, folds Folds) (v *ops.Verification, err error) {
	db, err := sqlstore.Open(ctx, sqlstore.Options{Path: path})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := folds.Settle(ctx, db, false); err != nil {
		return nil, err
	}
	if v, err = folds.Verify(ctx, db); err != nil {
		return v, err
	}
	return v, unproven(v)
}

// unproven is the first problem of a verification, nil where there is none.
func unproven(v *ops.Verification) error {
	if v.OK() {
		return nil
	}
	return fmt.Errorf("%w: %d problems, the first at position %d: %s: %s", ErrDamaged, v.Total, v.Problems[0].Position, v.Problems[0].Check, v.Problems[0].Detail)
}

// examine compares an extracted database, that nobody has opened yet, with the
// manifest.
func (a *Archive) examine(ctx context.Context, path string) (err error) {
	m, err := survey(ctx, hurried(ctx), path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	want := &a.Manifest
	switch {
	case m.LogID != want.LogID:
		return fmt.Errorf("%w: it holds log %s, but its manifest says %s", ErrDamaged, m.LogID, want.LogID)
	case m.Head() != want.Head():
		return fmt.Errorf("%w: the log ends at position %d (%s), but its manifest says %d (%s)", ErrDamaged, m.Position, m.Hash, want.Position, want.Hash)
	case m.Schema != want.Schema:
		return fmt.Errorf("%w: the schema is %d, but its manifest says %d", ErrDamaged, m.Schema, want.Schema)
	case !maps.Equal(m.Tables, want.Tables):
		return fmt.Errorf("%w: the tables hold %v rows, but its manifest says %v", ErrDamaged, m.Tables, want.Tables)
	}
	return integrity(ctx, path)
}

// integrity asks SQLite to look at every page and index.
func integrity(ctx context.Context, path string) (err error) {
	db, err := sql.Open("sqlite", address(path, "mode=ro&immutable=1"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var state string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&state); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if state != "ok" {
		return fmt.Errorf("%w: %s", ErrDamaged, strings.Join(strings.Fields(state), " "))
	}
	return nil
}

// Listed is an archive in a folder.
type Listed struct {
	Path      string    `json:"path"`
	Time      time.Time `json:"time"`
	Position  int64     `json:"position"`
	Encrypted bool      `json:"encrypted"`
	Size      int64     `json:"size_bytes"`
}

// List returns the archives in a folder by their names, the newest first; a
// folder that does not exist has none. It opens none of them.
func List(dir string) ([]Listed, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list backups: %w", err)
	}
	found := []Listed{}
	for _, entry := range entries {
		n, ok := ParseName(entry.Name())
		if !ok || !entry.Type().IsRegular() {
			continue
		}
		info, err := entry.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue // retention has just removed it
		}
		if err != nil {
			return nil, fmt.Errorf("list backups: %w", err)
		}
		found = append(found, Listed{filepath.Join(dir, entry.Name()), n.Time, n.Position, n.Encrypted, info.Size()})
	}
	slices.SortStableFunc(found, func(a, b Listed) int {
		return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(b.Position, a.Position))
	})
	return found, nil
}
