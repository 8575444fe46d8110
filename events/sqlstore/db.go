package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/agent-kanban/agent-kanban/events"
)

// DB is the log and the file around it. It is safe for concurrent use.
type DB struct {
	path    string
	options Options
	logID   string
	tail    atomic.Pointer[TailError] // nil when the tail is sound
	file    os.FileInfo               // of path when it was opened
	trouble trouble

	// writer is one connection for all who write. Two, one for each durability,
	// would empty each other's page cache with every commit: measured, twenty
	// pages read again for each command.
	writer  *sql.DB
	readers *sql.DB       // cannot write
	turn    chan struct{} // holds one token while somebody writes
	level   durability    // of writer; belongs to the holder of the turn

	stmts statements // of writer

	reads sync.Map // text to *sql.Stmt of readers
}

var _ events.Store = (*DB)(nil)

// LogID is events.Reader.
func (db *DB) LogID() string { return db.logID }

// Path returns the absolute path of the database file.
func (db *DB) Path() string { return db.path }

// TailError returns what is wrong with the newest rows of the log, as far as it
// was seen by Open or CheckTail, nil when they are sound.
func (db *DB) TailError() error {
	if tail := db.tail.Load(); tail != nil {
		return tail
	}
	return nil
}

// Reader returns the pool that cannot write, for the queries of others.
func (db *DB) Reader() *sql.DB { return db.readers }

// Writer returns the connection behind Update and UpdateRelaxed, for one
// purpose: preparing statements that are used there through tx.StmtContext. It
// is a single connection, so preparing one inside Update or UpdateRelaxed waits
// for ever. It is nil when the DB is open for reading only.
func (db *DB) Writer() *sql.DB { return db.writer }

// Update runs fn in a durable write transaction and commits it when fn returns
// nil; a panic rolls back. Cancelling ctx ends the wait for a turn but nothing
// after that, so fn is given a context that is never cancelled. fn must not
// begin another transaction.
func (db *DB) Update(ctx context.Context, fn func(ctx context.Context, tx *sql.Tx) error) error {
	return db.update(ctx, durable, fn)
}

// UpdateRelaxed is Update for what can be rebuilt from the log: atomic, but the
// last commits may be missing after a power cut.
func (db *DB) UpdateRelaxed(ctx context.Context, fn func(ctx context.Context, tx *sql.Tx) error) error {
	return db.update(ctx, relaxed, fn)
}

func (db *DB) update(ctx context.Context, level durability, fn func(ctx context.Context, tx *sql.Tx) error) (err error) {
	tx, err := db.begin(ctx, level)
	if err != nil {
		return err
	}
	defer db.release()
	// After a commit this does nothing; after an error or a panic it cleans up.
	defer func() { _ = tx.Rollback() }()
	if err := fn(context.WithoutCancel(ctx), tx); err != nil {
		return db.note(wrap("update", err))
	}
	return db.note(wrap("commit", tx.Commit()))
}

// begin waits for the turn to write, then opens the transaction; whoever gets
// one must call release after its end.
func (db *DB) begin(ctx context.Context, level durability) (*sql.Tx, error) {
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
	ctx = context.WithoutCancel(ctx)
	err := db.moved()
	if err == nil {
		err = db.setLevel(ctx, level)
	}
	if err == nil {
		var tx *sql.Tx
		if tx, err = db.writer.BeginTx(ctx, nil); err == nil {
			return tx, nil
		}
	}
	db.release()
	return nil, db.note(wrap("begin", err))
}

// durability is what a commit promises.
type durability int

const (
	durable durability = iota // survives a power cut; what the connection starts with
	relaxed                   // survives a crash of the process
)

// setLevel makes the next commit of writer as durable as asked. Relaxed commits
// also carry the burden of copying the WAL back at half the length at which
// durable ones would: a command does not wait for it.
func (db *DB) setLevel(ctx context.Context, level durability) error {
	if level == db.level {
		return nil
	}
	synchronous, checkpoint := db.options.Synchronous, 2*db.options.Checkpoint
	if level == relaxed {
		synchronous, checkpoint = "NORMAL", db.options.Checkpoint
	}
	_, err := db.writer.ExecContext(ctx, fmt.Sprintf("PRAGMA synchronous = %s; PRAGMA wal_autocheckpoint = %d", synchronous, checkpoint))
	if err == nil {
		db.level = level
	}
	return err
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
	for _, pool := range []*sql.DB{db.readers, db.writer} {
		if pool != nil {
			errs = append(errs, pool.Close())
		}
	}
	return wrap("close database", errors.Join(errs...))
}
