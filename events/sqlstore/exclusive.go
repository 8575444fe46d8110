package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Exclusive runs fn on the writing connection, outside of any transaction, while
// nobody else of this process writes: for what SQLite refuses inside of one, such
// as VACUUM. Unlike Update it hands on ctx as it is, so that a long statement can
// be interrupted. fn leaves the connection's pragmas as it found them, and must
// not call Update.
func (db *DB) Exclusive(ctx context.Context, fn func(ctx context.Context, conn *sql.Conn) error) (err error) {
	if db.options.ReadOnly {
		return fmt.Errorf("exclusive: %w", ErrReadOnly)
	}
	select {
	case db.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("exclusive: %w", ctx.Err())
	}
	defer db.release()
	conn, err := db.writer.Conn(ctx)
	if err != nil {
		return wrap("exclusive", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return wrap("exclusive", fn(ctx, conn))
}
