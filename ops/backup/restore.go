package backup

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/ops"
)

// RestoreOptions of Restore. Archive, DataDir, Database and Folds are required.
type RestoreOptions struct {
	Archive  *Archive
	DataDir  string // the caller holds its lock
	Database string // the file that the server uses
	// Log is a copy that a Shipper made: what is in it after the archive is added.
	// Its LogID is that of the archive where "". nil = there is none.
	Log *Shipped
	// KeepID keeps the log's id although nothing shows that no later events were
	// ever seen: for a move to another machine.
	KeepID bool
	// At is where the log is to end; zero is the end of what there is.
	At    At
	Folds Folds
	// Progress is told which phase begins; nil for nobody.
	Progress func(phase string)
	// Now is time.Now where nil.
	Now func() time.Time
}

// Restored is what Restore has done.
type Restored struct {
	Head  events.Head `json:"head"`
	LogID string      `json:"log_id"`
	// NewLogID says that the log got another id: clients begin afresh.
	NewLogID bool  `json:"new_log_id"`
	Cut      int64 `json:"events_cut"` // of the archive, after At
	// Replayed events came from the shipped log.
	Replayed int64 `json:"events_replayed"`
	// NoPassword are people whom the log knows, but who cannot sign in: they were
	// registered in the last moment of the copy.
	NoPassword []string `json:"no_password,omitempty"`
	// Aside is the folder that what was there before is in, "" = nothing was.
	Aside        string            `json:"set_aside,omitempty"`
	Verification *ops.Verification `json:"verification"`
	Took         time.Duration     `json:"took_ns"`
}

// Restore puts the state of an archive in the place of the one in DataDir. All
// of it is made ready and verified beside that one first, then takes its place
// at once: whatever happens in between, a crash too, leaves either the old or
// the new state (see Finish). The old one, with the stream, is kept in the
// folder before-restore-<time>. Where the log loses events that clients may
// have seen, it gets a new id. Errors: ErrDamaged, ErrEncrypted, ErrNoMoment.
func Restore(ctx context.Context, o RestoreOptions) (_ Restored, err error) {
	began := time.Now()
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	for _, path := range []*string{&o.DataDir, &o.Database} {
		if *path, err = filepath.Abs(*path); err != nil {
			return Restored{}, fmt.Errorf("restore: %w", err)
		}
	}
	if err := Finish(o.DataDir); err != nil {
		return Restored{}, err
	}
	w, err := newWorkshop(filepath.Dir(o.Database), restorePrefix)
	if err != nil {
		return Restored{}, fmt.Errorf("restore: %w", err)
	}
	done, err := o.restore(ctx, w)
	if err != nil {
		if Pending(o.DataDir) {
			// The swap has begun: it is finished, not undone.
			return done, errors.Join(fmt.Errorf("restore: %w", err), w.lock.Release())
		}
		return done, errors.Join(fmt.Errorf("restore: %w", err), w.close())
	}
	done.Took = time.Since(began)
	return done, w.close()
}

func (o *RestoreOptions) restore(ctx context.Context, w *workshop) (Restored, error) {
	o.Progress("extract")
	if err := o.Archive.Extract(ctx, w.dir); err != nil {
		return Restored{}, err
	}
	o.Progress("check")
	database := w.path(databaseName)
	if err := o.Archive.examine(ctx, database); err != nil {
		return Restored{}, err
	}
	done, err := o.prepare(ctx, database)
	if err != nil {
		return done, err
	}
	o.Progress("verify")
	if done.Verification, err = prove(ctx, database, o.Folds); err != nil {
		return done, err
	}
	done.Head, done.LogID = done.Verification.Head, done.Verification.LogID
	if err := settled(database); err != nil {
		return done, err
	}
	if err := ctx.Err(); err != nil {
		return done, err
	}
	o.Progress("put in place")
	s, aside, err := o.plan(w)
	if err != nil {
		return done, err
	}
	done.Aside = aside
	return done, s.begin(o.DataDir)
}

// prepare brings the extracted database to the moment that was asked for.
func (o *RestoreOptions) prepare(ctx context.Context, path string) (done Restored, err error) {
	db, err := sqlstore.Open(ctx, sqlstore.Options{Path: path})
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if o.Log != nil {
		o.Progress("replay")
		if done.Replayed, err = replay(ctx, db, *o.Log, o.At); err != nil {
			return done, err
		}
	} else if o.At.Time.After(o.Archive.Manifest.Time) {
		return done, fmt.Errorf("%w: it was taken at %s, before %s", ErrNoMoment,
			o.Archive.Manifest.Time.Format(time.RFC3339), o.At.Time.UTC().Format(time.RFC3339))
	}
	end, err := db.Head(ctx)
	if err != nil {
		return done, err
	}
	position, err := o.At.position(ctx, db)
	if err != nil {
		return done, err
	}
	if done.Cut = end.Position - position; done.Cut > 0 {
		by, err := redactedLater(ctx, db, position)
		if err == nil && by > 0 {
			err = fmt.Errorf("%w: what was redacted at position %d is gone for good, so the log cannot end before it; "+
				"name a moment from there on, or an archive from before it", ErrNoMoment, by)
		}
		if err != nil {
			return done, err
		}
		o.Progress("cut")
		if err := cut(ctx, db, position); err != nil {
			return done, fmt.Errorf("cut the log at position %d: %w", position, err)
		}
	}
	if done.Cut > 0 || o.Log != nil {
		if err := o.Folds.Settle(ctx, db, true); err != nil {
			return done, err
		}
		if err := SettleSides(ctx, db); err != nil {
			return done, fmt.Errorf("settle accounts: %w", err)
		}
		if done.NoPassword, err = noPassword(ctx, db); err != nil {
			return done, err
		}
		// What a redaction in the shipped log has emptied is in no page either.
		if err := db.Clean(ctx, end.Position); err != nil {
			return done, err
		}
	}
	goesOn := done.Cut == 0
	if goesOn && !o.KeepID {
		if goesOn, err = continues(ctx, o.Database, db.LogID(), db); err != nil {
			return done, fmt.Errorf("compare with the log that is there: %w", err)
		}
	}
	if !goesOn {
		done.NewLogID = true
		_, err = rename(ctx, db)
	}
	return done, err
}

// noPassword lists active people who have none.
func noPassword(ctx context.Context, db *sqlstore.DB) (names []string, err error) {
	rows, err := db.Reader().QueryContext(ctx, `SELECT username FROM users
		WHERE kind = 'human' AND active = 1 AND id NOT IN (SELECT user_id FROM credentials) ORDER BY username`)
	if err != nil {
		return nil, fmt.Errorf("list people without a password: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// settled makes sure that a closed database is in its one file, and that on the
// disk.
func settled(path string) error {
	if exists(path + "-wal") {
		return fmt.Errorf("%s-wal is left: the database is still open somewhere", path)
	}
	return syncFile(path)
}

// plan says what goes where.
func (o *RestoreOptions) plan(w *workshop) (s swap, aside string, err error) {
	s.Staged = w.dir
	stamp := o.Now().UTC().Format("20060102T150405.000")
	beside := filepath.Join(filepath.Dir(o.Database), "before-restore-"+stamp)
	away := filepath.Join(o.DataDir, "before-restore-"+stamp)
	for _, ending := range []string{"-wal", "-shm", "-journal", ""} {
		s.Away = append(s.Away, move{o.Database + ending, filepath.Join(beside, filepath.Base(o.Database)+ending)})
	}
	// The stream is a copy of the log before; the server makes a new one.
	for _, name := range []string{"jetstream", recoveredFolder} {
		s.Away = append(s.Away, move{filepath.Join(o.DataDir, name), filepath.Join(away, name)})
	}
	for _, m := range s.Away {
		if exists(m.From) {
			aside = away
			if m.From == o.Database {
				aside = beside
				break
			}
		}
	}
	if exists(w.path(recoveredFolder)) {
		if filepath.Dir(o.Database) != o.DataDir {
			return s, "", fmt.Errorf("the backup has a folder %s, which cannot be put in place while the database is outside of the data directory; "+
				"restore with a DATABASE_URL inside of it, then move the file", recoveredFolder)
		}
		s.In = append(s.In, move{w.path(recoveredFolder), filepath.Join(o.DataDir, recoveredFolder)})
	}
	s.In = append(s.In, move{w.path(databaseName), o.Database})
	return s, aside, nil
}
