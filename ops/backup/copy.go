package backup

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// address of a database file for the driver, which plain text is not where a
// folder has a question mark in its name.
func address(path, query string) string {
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: query}
	return u.String()
}

// pagesPerStep of 4 KiB are copied at once, between two steps of the pace.
const pagesPerStep = 16

// copyDatabase writes the database as of one moment to a new file. It only reads and
// takes no lock that a writer would wait for: a server may run, in this process too.
func copyDatabase(ctx context.Context, p *pace, from, to string, progress func(done, total int64)) (err error) {
	pool, err := sql.Open("sqlite", address(from, "mode=ro&_pragma=busy_timeout(5000)&_pragma=query_only(1)"))
	if err != nil {
		return err
	}
	defer func() {
		// SQLite notices some damage while it reads, else survey does.
		var cause *sqlite.Error
		if errors.As(err, &cause) && (cause.Code()&0xff == sqlite3.SQLITE_CORRUPT || cause.Code()&0xff == sqlite3.SQLITE_NOTADB) {
			err = fmt.Errorf("%w: %w", ErrSourceDamaged, err)
		}
		err = errors.Join(err, pool.Close())
	}()
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	// The backup joins a transaction that is open already. Without one it would
	// begin anew after every commit of somebody else, and never end under load.
	for _, text := range []string{"BEGIN", "SELECT count(*) FROM sqlite_schema"} {
		if _, err := conn.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	defer func() { _, _ = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") }()
	return conn.Raw(func(driver any) error {
		source, ok := driver.(interface {
			NewBackup(to string) (*sqlite.Backup, error)
		})
		if !ok {
			return fmt.Errorf("the driver %T has no online backup", driver)
		}
		b, err := source.NewBackup(address(to, "_pragma=synchronous(OFF)"))
		if err != nil {
			return err
		}
		return errors.Join(steps(p, b, progress), b.Finish())
	})
}

func steps(p *pace, b *sqlite.Backup, progress func(done, total int64)) error {
	for {
		more, err := b.Step(pagesPerStep)
		if err != nil {
			return err
		}
		if progress != nil {
			progress(int64(b.PageCount()-b.Remaining()), int64(b.PageCount()))
		}
		if !more {
			return nil
		}
		if err := p.step(); err != nil {
			return err
		}
	}
}
