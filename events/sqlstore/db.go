package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	"github.com/agent-kanban/agent-kanban/events"
)

// DB is the log and the file around it. It is safe for concurrent use.
type DB struct {
	path    string
	options Options
	logID   string
	tail    *TailError // nil when the tail is sound

	durable *sql.DB       // one connection: appends, and whatever must survive
	relaxed *sql.DB       // one connection: what can be rebuilt
	readers *sql.DB       // cannot write
	turn    chan struct{} // holds one token while somebody writes

	stmts statements // of durable

	reads sync.Map // text to *sql.Stmt of readers
}

var _ events.Store = (*DB)(nil)

// LogID is events.Reader.
func (db *DB) LogID() string { return db.logID }

// Path returns the absolute path of the database file.
func (db *DB) Path() string { return db.path }

// TailError returns what is wrong with the newest rows of the log, as far as it
// was seen by Open, nil when they are sound.
func (db *DB) TailError() error {
	if db.tail == nil {
		return nil
	}
	return db.tail
}

// Reader returns the pool that cannot write, for the queries of others.
func (db *DB) Reader() *sql.DB { return db.readers }

// RelaxedDB returns the connection behind UpdateRelaxed, for one purpose:
// preparing statements that are used there through tx.StmtContext. It is a
// single connection, so preparing one inside Update or UpdateRelaxed waits for
// ever. It is nil when the DB is open for reading only.
func (db *DB) RelaxedDB() *sql.DB { return db.relaxed }

// Update runs fn in a durable write transaction and commits it when fn returns
// nil; a panic rolls back. Cancelling ctx ends the wait for a turn but nothing
// after that, so fn is given a context that is never cancelled. fn must not
// begin another transaction.
func (db *DB) Update(ctx context.Context, fn func(ctx context.Context, tx *sql.Tx) error) error {
	return db.update(ctx, db.durable, fn)
}

// UpdateRelaxed is Update for what can be rebuilt from the log: atomic, but the
// last commits may be missing after a power cut.
func (db *DB) UpdateRelaxed(ctx context.Context, fn func(ctx context.Context, tx *sql.Tx) error) error {
	return db.update(ctx, db.relaxed, fn)
}

func (db *DB) update(ctx context.Context, pool *sql.DB, fn func(ctx context.Context, tx *sql.Tx) error) (err error) {
	tx, err := db.begin(ctx, pool)
	if err != nil {
		return err
	}
	defer db.release()
	// After a commit this does nothing; after an error or a panic it cleans up.
	defer func() { _ = tx.Rollback() }()
	if err := fn(context.WithoutCancel(ctx), tx); err != nil {
		return wrap("update", err)
	}
	return wrap("commit", tx.Commit())
}

// begin waits for the turn to write, then opens the transaction; whoever gets
// one must call release after its end.
func (db *DB) begin(ctx context.Context, pool *sql.DB) (*sql.Tx, error) {
	if db.options.ReadOnly {
		return nil, fmt.Errorf("begin: %w: %w", events.Errorf(events.CodeUnavailable, "%s", ErrReadOnly.Error()), ErrReadOnly)
	}
	// Both cases of the select may be ready, and then it picks either.
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	select {
	case db.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("begin: %w", ctx.Err())
	}
	tx, err := pool.BeginTx(context.WithoutCancel(ctx), nil)
	if err != nil {
		db.release()
		return nil, wrap("begin", err)
	}
	return tx, nil
}

func (db *DB) release() { <-db.turn }

// Close waits for the write transaction that is open, if any, and closes every
// connection; the last one to leave the file checkpoints the WAL. A second Close
// does nothing.
func (db *DB) Close() error {
	db.turn <- struct{}{}
	defer db.release()
	var errs []error
	// The readers first: the last connection to close is the one that empties
	// the WAL, and those cannot.
	for _, pool := range []*sql.DB{db.readers, db.relaxed, db.durable} {
		if pool != nil {
			errs = append(errs, pool.Close())
		}
	}
	return wrap("close database", errors.Join(errs...))
}
