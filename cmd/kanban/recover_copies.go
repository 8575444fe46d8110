package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/agent-kanban/agent-kanban/ops/backup"
	"github.com/agent-kanban/agent-kanban/ops/recover"
)

// copies are those that recover was told of.
type copies struct {
	backups       []string
	log, identity string
}

// backupCopy is a backup that was extracted into the work folder.
type backupCopy struct {
	name  string
	dir   string
	logID string
	db    *recover.Database
}

// openCopies opens backups and the shipped log. One that was named must be
// readable; one that was found is passed over where it is not, with a note.
func (r *recovery) openCopies(ctx context.Context) error {
	known := r.old.LogID(ctx)
	for _, file := range r.from.backups {
		if err := r.openBackup(ctx, file, ""); err != nil {
			return err
		}
	}
	if len(r.from.backups) == 0 {
		found, err := backup.List(r.cfg.backupDir())
		if err == nil && len(found) > 0 {
			err = r.openBackup(ctx, found[0].Path, known)
		}
		if err := r.passOver(ctx, "the newest backup", err); err != nil {
			return err
		}
	}
	for _, b := range r.backups {
		if known == "" {
			known = b.logID
		}
	}
	if r.from.log != "" {
		return r.openShipped(ctx, r.from.log, known)
	}
	if to := r.cfg.BackupShipTo; to != "" && !isBucket(to) {
		return r.passOver(ctx, shippedName, r.openShipped(ctx, to, known))
	}
	return nil
}

// passOver turns an error about a copy that nobody named into a note.
func (r *recovery) passOver(ctx context.Context, what string, err error) error {
	if err != nil {
		r.notes = append(r.notes, fmt.Sprintf("%s was not used: %v", what, err))
	}
	return ctx.Err()
}

// openBackup extracts a backup; a known logID is the one that it must be of.
func (r *recovery) openBackup(ctx context.Context, file, logID string) error {
	archive, discard, err := openArchive(ctx, file, r.from.identity)
	if err != nil {
		return err
	}
	defer discard()
	if logID != "" && archive.Manifest.LogID != logID {
		return fmt.Errorf("%s is of log %s, this is %s; --backup uses it all the same", file, archive.Manifest.LogID, logID)
	}
	b := backupCopy{name: "the backup " + filepath.Base(archive.Path), logID: archive.Manifest.LogID}
	b.dir = filepath.Join(r.work, fmt.Sprintf("backup-%d", len(r.backups)))
	if err := archive.Extract(ctx, b.dir); err != nil {
		return backupHint(err)
	}
	if b.db, err = recover.OpenDatabase(filepath.Join(b.dir, defaultDatabase)); err != nil {
		return err
	}
	r.closers = append(r.closers, b.db)
	r.backups = append(r.backups, b)
	r.notes = append(r.notes, fmt.Sprintf("%s of %s was read, it ends at position %d",
		b.name, archive.Manifest.Time.Format(time.DateTime), archive.Manifest.Position))
	return nil
}

// openShipped finds the log in a folder, or in a bucket.
func (r *recovery) openShipped(ctx context.Context, from, logID string) error {
	keys, err := backup.ReadIdentities(r.from.identity)
	if err != nil {
		return &hinted{err, "--identity with the file that age-keygen wrote"}
	}
	log := &backup.Shipped{Dir: from, LogID: logID, Identities: keys}
	if isBucket(from) {
		if logID == "" {
			return usagef("--log %s: which log is not known; name a --backup of it too", from)
		}
		b, err := bucket("--log", from)
		if err != nil {
			return err
		}
		log.Dir = filepath.Join(r.work, "log")
		if err := os.Mkdir(log.Dir, 0o700); err != nil {
			return err
		}
		if err := b.Fetch(ctx, logID, log.Dir); err != nil {
			return err
		}
	}
	ids, err := backup.LogIDs(log.Dir)
	switch {
	case err != nil:
		return &hinted{err, "--log with the folder or address that BACKUP_SHIP_TO had"}
	case slices.Contains(ids, logID):
	case len(ids) == 0:
		log.LogID = "" // the folder of the log itself
	case len(ids) == 1 && logID == "":
		log.LogID = ids[0]
	case logID == "":
		return fmt.Errorf("%s holds several logs, and which is this one is not known; name one of its folders with --log, or a --backup", from)
	default:
		return fmt.Errorf("%s does not hold log %s; name one of its folders with --log", from, logID)
	}
	for _, err := range backup.Salvage(ctx, *log) {
		if errors.Is(err, backup.ErrEncrypted) {
			return backupHint(err)
		}
		break
	}
	r.shipped = log
	return nil
}

// shippedName is what reports call it.
const shippedName = "the shipped log"

// copied are the sources that openCopies found.
func (r *recovery) copied() (list []recover.Source) {
	for _, b := range r.backups {
		list = append(list, b.db.Source(b.name), recover.Folder(b.name+", saved events", filepath.Join(b.dir, "recovered"), ".jsonl"))
	}
	if log := r.shipped; log != nil {
		list = append(list, recover.Source{Name: shippedName, Rows: func(ctx context.Context) iter.Seq2[recover.Row, error] {
			return func(yield func(recover.Row, error) bool) {
				for row, err := range backup.Salvage(ctx, *log) {
					var copied recover.Row
					if row != nil {
						copied.Event, copied.Commands = row.Event, row.Commands
					}
					if !yield(copied, err) {
						return
					}
				}
			}
		}})
	}
	return list
}

// borrow copies tables that could not be read to their ends from the backups,
// and what the shipped log has of later. An older row never replaces a newer one.
func (r *recovery) borrow(ctx context.Context, tx *sql.Tx) error {
	tables, err := tablesOf(ctx, tx)
	if err != nil {
		return err
	}
	for _, b := range r.backups {
		skip := slices.DeleteFunc(slices.Clone(tables), func(t string) bool { return slices.Contains(r.unread, t) })
		copied, failed, err := b.db.CopyTables(ctx, tx, slices.Concat(skip, madeFromLog))
		if err != nil {
			return err
		}
		for table, n := range copied {
			r.report.Tables[table] += n
		}
		r.unread = slices.DeleteFunc(r.unread, func(table string) bool {
			if failed[table] == nil {
				r.borrowed = append(r.borrowed, table)
			}
			return failed[table] == nil
		})
	}
	if r.shipped != nil {
		return backup.SalvageSides(ctx, *r.shipped, tx)
	}
	return nil
}

func tablesOf(ctx context.Context, tx *sql.Tx) (names []string, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT name FROM sqlite_schema WHERE type = 'table'")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}
