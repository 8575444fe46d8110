package projections

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"regexp"
	"testing"

	"modernc.org/sqlite"
)

// recorder notes what is prepared.
type recorder struct {
	driver.Connector
	texts map[string]bool
}

type recorded struct {
	driver.Conn
	texts map[string]bool
}

// Connect is driver.Connector.
func (r recorder) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := r.Connector.Connect(ctx)
	return recorded{c, r.texts}, err
}

// Prepare is driver.Conn.
func (r recorded) Prepare(text string) (driver.Stmt, error) {
	r.texts[text] = true
	return r.Conn.Prepare(text)
}

var (
	// walks finds a plan that goes through all rows of a table.
	walks = regexp.MustCompile(`^SCAN \w+_shadow`)
	// wholeBoard is about everything of a board, as when it is deleted or its
	// columns change: that comes seldom, and may walk.
	wholeBoard = regexp.MustCompile(`WHERE board_id = \?\)?$`)
	parameter  = regexp.MustCompile(`\?\d*`)
)

// While a rebuild fills the shadow tables they have only the indexes that are
// needed for it. Every statement of the projectors is asked for its plan there:
// one that walks through a table that grows takes the square of the log.
func TestRebuildLooksUpByIndex(t *testing.T) {
	t.Parallel()
	db := open(t)
	err := db.UpdateRelaxed(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
		all, err := definitions(ctx, tx)
		return errors.Join(err, createTables(ctx, tx, all, shadow))
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := sqlite.NewConnector(db.Path())
	if err != nil {
		t.Fatal(err)
	}
	r := recorder{c, map[string]bool{}}
	pool := sql.OpenDB(r)
	defer pool.Close()
	v, err := newViews(t.Context(), pool, shadow)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.close(); err != nil {
		t.Fatal(err)
	}
	if len(r.texts) < 40 {
		t.Fatalf("the projectors have %d statements", len(r.texts))
	}
	for text := range r.texts {
		rows, err := db.Writer().QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+parameter.ReplaceAllString(text, "1"))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			if walks.MatchString(detail) && !wholeBoard.MatchString(text) {
				t.Errorf("%s\n%s", detail, text)
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
	}
}
