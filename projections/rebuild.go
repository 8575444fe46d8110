package projections

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// RebuildConfig is what Rebuild needs. Fields without a default are required.
type RebuildConfig struct {
	// DB is the pool that the transactions of Update come from.
	DB     *sql.DB
	Update UpdateFunc
	Log    events.Reader
	// Progress is called after each page, nil for nobody.
	Progress func(Progress)
	// PageSize is the number of events per transaction, 5000 when 0. Two pages
	// are in memory at a time.
	PageSize int
}

// Progress is how far a fold of the log is.
type Progress struct {
	Position  int64   // done
	Head      int64   // to do
	PerSecond float64 // events per second so far
}

// Rebuild folds the whole log into shadow tables and puts them in the place of
// the live ones in one transaction; until then those serve, and after a crash
// they still do. No Runner may be at work, here or elsewhere: the caller holds
// the lock of the data directory. Parked events get another chance. It stops
// with an error, and changes nothing, at an event that cannot be applied or, in
// the form of events.ErrUnknownType, was written by a newer version.
func Rebuild(ctx context.Context, config RebuildConfig) (Progress, error) {
	config.PageSize = cmp.Or(config.PageSize, 5000)
	if config.DB == nil || config.Update == nil || config.Log == nil || config.PageSize < 0 {
		return Progress{}, errors.New("rebuild: DB, Update and Log are required")
	}
	done, err := rebuild(ctx, config)
	if err != nil {
		// Best effort: the next start drops them too.
		_ = dropShadows(context.WithoutCancel(ctx), config.DB, config.Update)
		return done, fmt.Errorf("rebuild: %w", err)
	}
	return done, nil
}

func rebuild(ctx context.Context, config RebuildConfig) (_ Progress, err error) {
	if err := dropShadows(ctx, config.DB, config.Update); err != nil {
		return Progress{}, err
	}
	all, err := definitions(ctx, config.DB)
	if err != nil {
		return Progress{}, err
	}
	if err := config.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return createTables(ctx, tx, all, shadow)
	}); err != nil {
		return Progress{}, err
	}
	v, err := newViews(ctx, config.DB, shadow)
	if err != nil {
		return Progress{}, err
	}
	defer func() { err = errors.Join(err, v.close()) }()
	f := &fold{views: v, log: config.Log, update: config.Update, pageSize: config.PageSize, progress: config.Progress, strict: true}
	restore, err := bulk(ctx, config.DB)
	if err != nil {
		return f.done, err
	}
	defer func() { err = errors.Join(err, restore()) }()
	if err := f.run(ctx, 0); err != nil {
		return f.done, err
	}
	// Nobody can append while this transaction is open: what it reads is all.
	err = config.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for {
			page, err := f.read(ctx, 0)
			if err != nil {
				return err
			}
			if len(page) == 0 {
				break
			}
			if err := f.write(ctx, tx, page); err != nil {
				return err
			}
		}
		if err := swap(ctx, tx, all); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM parked_events"); err != nil {
			return fmt.Errorf("clear parked events: %w", err)
		}
		if _, err := tx.ExecContext(ctx, setCheckpoint, f.done.Position, rowSchema); err != nil {
			return fmt.Errorf("set checkpoint: %w", err)
		}
		return nil
	})
	return f.done, err
}

// bulk prepares the connection for many rows: pages that change often are copied
// out of the WAL once, not after every transaction, and looked up in memory.
// Leaving fsync out altogether would be faster still, but the log is in the same
// file.
func bulk(ctx context.Context, db *sql.DB) (restore func() error, err error) {
	var checkpoint, cache int
	err = errors.Join(
		db.QueryRowContext(ctx, "PRAGMA wal_autocheckpoint").Scan(&checkpoint),
		db.QueryRowContext(ctx, "PRAGMA cache_size").Scan(&cache))
	if err != nil {
		return nil, err
	}
	set := func(checkpoint, cache int) error {
		ctx := context.WithoutCancel(ctx)
		var got int
		err := db.QueryRowContext(ctx, fmt.Sprintf("PRAGMA wal_autocheckpoint = %d", checkpoint)).Scan(&got)
		_, err2 := db.ExecContext(ctx, fmt.Sprintf("PRAGMA cache_size = %d", cache))
		return errors.Join(err, err2)
	}
	const pages, kibibytes = 16_000, 32_000
	return func() error { return set(checkpoint, cache) }, set(max(checkpoint, pages), -kibibytes)
}

// fold applies the log, page after page, to tables that nobody else writes.
type fold struct {
	views    *views
	log      events.Reader
	update   UpdateFunc
	pageSize int
	progress func(Progress)
	// strict stops at a type that is unknown, which is skipped otherwise.
	strict bool

	skipped int64
	seen    int64 // position of the last event read
	done    Progress
	started time.Time
}

// run applies everything up to and including upTo, up to the end of the log
// where that is 0.
func (f *fold) run(ctx context.Context, upTo int64) error {
	if f.started.IsZero() {
		f.started = time.Now()
	}
	head, err := f.log.Head(ctx)
	if err != nil {
		return fmt.Errorf("read head: %w", err)
	}
	f.done.Head = cmp.Or(upTo, head.Position)
	ctx, cancel := context.WithCancel(ctx)
	// The next page is read and decoded while this one is written.
	type result struct {
		page []Change
		err  error
	}
	pages := make(chan result)
	ended := make(chan struct{})
	defer func() { cancel(); <-ended }()
	go func() {
		defer close(ended)
		defer close(pages)
		for {
			page, err := f.read(ctx, upTo)
			if err == nil && len(page) == 0 {
				return
			}
			select {
			case pages <- result{page, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	for r := range pages {
		if r.err != nil {
			return r.err
		}
		if err := f.update(ctx, func(ctx context.Context, tx *sql.Tx) error { return f.write(ctx, tx, r.page) }); err != nil {
			return err
		}
		if f.progress != nil {
			f.progress(f.done)
		}
	}
	return ctx.Err()
}

// read returns the next page, decoded.
func (f *fold) read(ctx context.Context, upTo int64) ([]Change, error) {
	if upTo > 0 && f.seen >= upTo {
		return nil, nil
	}
	page, err := f.log.Read(ctx, events.Query{After: f.seen, UpTo: upTo, Limit: f.pageSize})
	if err != nil {
		return nil, fmt.Errorf("read the log after %d: %w", f.seen, err)
	}
	changes := make([]Change, 0, len(page))
	for i := range page {
		e := &page[i]
		if e.Position != f.seen+1 {
			return nil, fmt.Errorf("position %d after %d: %w", e.Position, f.seen, ErrGap)
		}
		f.seen = e.Position
		c, err := f.views.decode(e)
		switch {
		case err == nil:
			changes = append(changes, c)
		case errors.Is(err, events.ErrUnknownType) && !f.strict:
			changes = append(changes, Change{Envelope: e, At: ""})
		case errors.Is(err, events.ErrUnknownType):
			return nil, fmt.Errorf("position %d was written by a newer version of this program; upgrade first: %w", e.Position, err)
		default:
			return nil, fmt.Errorf("position %d: %w", e.Position, err)
		}
	}
	return changes, nil
}

func (f *fold) write(ctx context.Context, tx *sql.Tx, page []Change) error {
	t := f.views.begin(tx)
	position := f.done.Position
	for _, c := range page {
		position = c.Position
		if c.At == "" { // unknown
			f.skipped++
			continue
		}
		if err := f.views.write(ctx, t, c); err != nil {
			return fmt.Errorf("position %d: %w", c.Position, err)
		}
	}
	if err := f.views.flush(ctx, t); err != nil {
		return err
	}
	f.done.Position = position
	f.done.Head = max(f.done.Head, position)
	f.done.PerSecond = float64(position) / max(time.Since(f.started).Seconds(), 1e-9)
	return nil
}
