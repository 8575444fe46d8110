package maintain

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/agent-kanban/agent-kanban/ops/machine"
)

// What one step does before it lets others write: a few milliseconds' worth.
const (
	rowsAtOnce  = 500
	pagesAtOnce = 256
	// rowsLookedAt bounds how much of each index ANALYZE reads.
	rowsLookedAt = 1000
)

// stampLayout is the text form of times in operator-facing tables.
const stampLayout = "2006-01-02 15:04:05.000000"

func deleteExpired(ctx context.Context, r *run) (string, error) {
	var deleted int64
	for {
		var n int64
		err := r.db.Exclusive(ctx, func(ctx context.Context, conn *sql.Conn) error {
			result, err := conn.ExecContext(ctx, `DELETE FROM refresh_tokens WHERE id IN
				(SELECT id FROM refresh_tokens WHERE expires_at <= ? LIMIT ?)`, r.opts.Now().UTC().Format(stampLayout), rowsAtOnce)
			if err != nil {
				return err
			}
			n, err = result.RowsAffected()
			return err
		})
		deleted += n
		if err != nil || n < rowsAtOnce {
			return fmt.Sprintf("%d expired refresh tokens deleted", deleted), err
		}
	}
}

func optimize(ctx context.Context, r *run) (string, error) {
	// 0x10002: every table is looked at, also those that this connection has not
	// queried yet.
	return "done", r.exec(ctx, fmt.Sprintf("PRAGMA analysis_limit = %d; PRAGMA optimize = 0x10002", rowsLookedAt))
}

func analyze(ctx context.Context, r *run) (string, error) {
	if err := r.exec(ctx, fmt.Sprintf("PRAGMA analysis_limit = %d; ANALYZE", rowsLookedAt)); err != nil {
		return "", err
	}
	var indexes int64
	err := r.db.Reader().QueryRowContext(ctx, "SELECT count(*) FROM sqlite_stat1").Scan(&indexes)
	return fmt.Sprintf("statistics of %d indexes", indexes), err
}

func (r *run) exec(ctx context.Context, text string) error {
	return r.db.Exclusive(ctx, func(ctx context.Context, conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, text)
		return err
	})
}

func (r *run) number(ctx context.Context, pragma string) (n int64, err error) {
	err = r.db.Reader().QueryRowContext(ctx, "PRAGMA "+pragma).Scan(&n)
	return n, err
}

// incremental is the value of auto_vacuum with which unused pages can be given
// back a few at a time.
const incremental = 2

func vacuum(ctx context.Context, r *run) (string, error) {
	if r.opts.Full {
		return vacuumFull(ctx, r)
	}
	mode, err := r.number(ctx, "auto_vacuum")
	if err != nil {
		return "", err
	}
	free, err := r.number(ctx, "freelist_count")
	if err != nil {
		return "", err
	}
	size, err := r.number(ctx, "page_size")
	if err != nil {
		return "", err
	}
	if mode != incremental {
		return fmt.Sprintf("%d bytes in the file are unused and will be used again; kanban maintain --full gives them back", free*size), nil
	}
	for left := free; left > 0; {
		if err := r.exec(ctx, fmt.Sprintf("PRAGMA incremental_vacuum(%d)", pagesAtOnce)); err != nil {
			return "", err
		}
		now, err := r.number(ctx, "freelist_count")
		if err != nil {
			return "", err
		}
		if now >= left {
			break // somebody frees pages as fast as this gives them back
		}
		left = now
	}
	left, err := r.number(ctx, "freelist_count")
	return fmt.Sprintf("%d bytes given back", max(0, free-left)*size), err
}

// vacuumFull rewrites the file, and lets later runs give pages back a few at a
// time.
func vacuumFull(ctx context.Context, r *run) (string, error) {
	before, wal := r.sizes()
	space, err := machine.Disk(filepath.Dir(r.db.Path()))
	if err != nil {
		return "", err
	}
	// SQLite writes the new file beside the old one, then copies it through the
	// WAL.
	if needed := 2*(before+wal) + 1<<20; space.Free < needed {
		return "", fmt.Errorf("rewriting the file needs %d bytes of free space and there are %d; free some, or leave out --full", needed, space.Free)
	}
	if err := r.exec(ctx, fmt.Sprintf("PRAGMA auto_vacuum = %d; VACUUM", incremental)); err != nil {
		return "", err
	}
	if _, err := emptyWAL(ctx, r); err != nil {
		return "", err
	}
	after, _ := r.sizes()
	return fmt.Sprintf("the file was rewritten: %d bytes, %d before", after, before), nil
}

func integrity(ctx context.Context, r *run) (string, error) {
	const most = 20
	rows, err := r.db.Reader().QueryContext(ctx, fmt.Sprintf("PRAGMA integrity_check(%d)", most))
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return "", err
		}
		found = append(found, line)
	}
	if err := rows.Err(); err != nil {
		return "", err
	}
	if len(found) == 1 && found[0] == "ok" {
		return "ok", nil
	}
	return "", fmt.Errorf("%w: %s", ErrDamaged, strings.Join(found, "; "))
}

// Each attempt to empty the WAL stalls writers for patience at most: it waits
// for readers that still need a part of it.
const (
	attempts = 5
	patience = 200 * time.Millisecond
)

func checkpoint(ctx context.Context, r *run) (string, error) {
	_, wal := r.sizes()
	emptied, err := emptyWAL(ctx, r)
	if err != nil {
		return "", err
	}
	if !emptied {
		return "a reader still needs a part of the WAL; the rest was copied into the database", nil
	}
	return fmt.Sprintf("the WAL was emptied, %d bytes before", wal), nil
}

func emptyWAL(ctx context.Context, r *run) (bool, error) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for n := range attempts {
		var busy int
		err := r.db.Exclusive(ctx, func(ctx context.Context, conn *sql.Conn) (err error) {
			var usual int64
			if err := conn.QueryRowContext(ctx, "PRAGMA busy_timeout").Scan(&usual); err != nil {
				return err
			}
			wait := func(ms int64) error {
				_, err := conn.ExecContext(context.WithoutCancel(ctx), fmt.Sprintf("PRAGMA busy_timeout = %d", ms))
				return err
			}
			if err := wait(patience.Milliseconds()); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, wait(usual)) }()
			var pages, copied int
			return conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &copied)
		})
		if err != nil {
			return false, err
		}
		if busy == 0 {
			return true, nil
		}
		pause.Reset(time.Duration(n+1) * patience)
		select {
		case <-pause.C:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	return false, nil
}
