package projections

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/agent-kanban/agent-kanban/events"
)

// CompareConfig is what Compare needs. Fields without a default are required.
type CompareConfig struct {
	// Live is a pool that can read the database; Compare never writes to it.
	Live *sql.DB
	Log  events.Reader
	// Dir is where a temporary database is made, os.TempDir() when "". It grows
	// to about the size of the views.
	Dir string
	// MaxDifferences is how many are told per table, 10 when 0.
	MaxDifferences int
	// Progress is called after each page of the fold, nil for nobody.
	Progress func(Progress)
}

// Difference is one row that is not what the log says. Live and Log are the two
// values, cut to a readable length; a row that one side lacks is "absent".
type Difference struct {
	Table  string `json:"table"`
	Key    string `json:"key"`    // primary key, "1/2" where it has two parts
	Column string `json:"column"` // "" where the whole row is absent
	Live   string `json:"live"`
	Log    string `json:"log"`
}

// Comparison is the result of Compare.
type Comparison struct {
	Position  int64            `json:"position"`  // both sides are as of here
	Rows      map[string]int64 `json:"rows"`      // compared, by table
	Differing map[string]int64 `json:"differing"` // rows that differ, by table
	// Differences are the first of each table.
	Differences []Difference `json:"differences"`
	// Parked events are known to be missing from the live rows.
	Parked int64 `json:"parked"`
	// Unknown events have a type that this version does not know.
	Unknown int64 `json:"unknown"`
}

// Equal reports whether the rows are what the log says.
func (c Comparison) Equal() bool { return len(c.Differing) == 0 }

// Compare folds the log into a temporary database and compares it with the live
// rows, row by row. It works while a server runs: both sides are as of the
// checkpoint. It returns a *StaleError where the rows are ahead of the log.
func Compare(ctx context.Context, config CompareConfig) (_ Comparison, err error) {
	config.MaxDifferences = cmp.Or(config.MaxDifferences, 10)
	if config.Live == nil || config.Log == nil {
		return Comparison{}, errors.New("compare: Live and Log are required")
	}
	dir, err := os.MkdirTemp(config.Dir, "kanban-compare-")
	if err != nil {
		return Comparison{}, fmt.Errorf("compare: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	result, err := compare(ctx, config, filepath.Join(dir, "fold.db"))
	if err != nil {
		return result, fmt.Errorf("compare: %w", err)
	}
	return result, nil
}

func compare(ctx context.Context, config CompareConfig, path string) (_ Comparison, err error) {
	address := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: "_pragma=journal_mode(OFF)&_pragma=synchronous(OFF)&_pragma=locking_mode(EXCLUSIVE)"}
	folded, err := sql.Open("sqlite", address.String())
	if err != nil {
		return Comparison{}, err
	}
	folded.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, folded.Close()) }()
	update := func(ctx context.Context, fn func(ctx context.Context, tx *sql.Tx) error) error {
		tx, err := folded.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		if err := fn(ctx, tx); err != nil {
			return err
		}
		return tx.Commit()
	}
	all, err := definitions(ctx, config.Live)
	if err != nil {
		return Comparison{}, err
	}
	if err := update(ctx, func(ctx context.Context, tx *sql.Tx) error { return createTables(ctx, tx, all, "") }); err != nil {
		return Comparison{}, err
	}
	v, err := newViews(ctx, folded, "")
	if err != nil {
		return Comparison{}, err
	}
	defer func() { err = errors.Join(err, v.close()) }()
	f := &fold{views: v, log: config.Log, update: update, pageSize: 5000, progress: config.Progress}

	// The long part of the fold runs without a read transaction, which would
	// keep the WAL of a running server from being cut.
	position, _, err := checkpoint(ctx, config.Live)
	if err != nil {
		return Comparison{}, err
	}
	if err := f.reach(ctx, position); err != nil {
		return Comparison{}, err
	}
	tx, err := config.Live.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return Comparison{}, err
	}
	defer func() { _ = tx.Rollback() }()
	c := Comparison{Rows: map[string]int64{}, Differing: map[string]int64{}, Differences: []Difference{}}
	if c.Position, _, err = checkpoint(ctx, tx); err != nil {
		return c, err
	}
	if err := f.reach(ctx, c.Position); err != nil {
		return c, err
	}
	c.Unknown = f.skipped
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM parked_events WHERE reason <> 'unknown'").Scan(&c.Parked); err != nil {
		return c, err
	}
	for _, table := range tables {
		if err := c.table(ctx, table, tx, folded, config.MaxDifferences); err != nil {
			return c, fmt.Errorf("table %s: %w", table, err)
		}
	}
	return c, nil
}

// reach folds up to a position, which the log must have.
func (f *fold) reach(ctx context.Context, position int64) error {
	if position > f.done.Position {
		if err := f.run(ctx, position); err != nil {
			return err
		}
	}
	if position != f.done.Position {
		return &StaleError{Reason: "the log is older than the read model", Position: position, Head: f.done.Position}
	}
	return nil
}

// table walks both sides in the order of the primary key.
func (c *Comparison) table(ctx context.Context, table string, live, folded querier, limit int) error {
	a, err := openSide(ctx, live, table)
	if err != nil {
		return err
	}
	defer a.rows.Close()
	b, err := openSide(ctx, folded, table)
	if err != nil {
		return err
	}
	defer b.rows.Close()
	if !slices.Equal(a.columns, b.columns) {
		return fmt.Errorf("it has the columns %v, want %v", a.columns, b.columns)
	}
	told := 0
	differ := func(d Difference) {
		if told < limit {
			d.Table = table
			c.Differences = append(c.Differences, d)
		}
		told++
	}
	for a.ok || b.ok {
		c.Rows[table]++
		order := slices.Compare(a.key, b.key)
		switch {
		case !b.ok || a.ok && order < 0:
			c.Differing[table]++
			differ(Difference{Key: a.name(), Live: "present", Log: "absent"})
			err = a.next()
		case !a.ok || order > 0:
			c.Differing[table]++
			differ(Difference{Key: b.name(), Live: "absent", Log: "present"})
			err = b.next()
		default:
			if !slices.Equal(a.values, b.values) {
				c.Differing[table]++
			}
			for i := range a.values {
				if a.values[i] != b.values[i] {
					differ(Difference{Key: a.name(), Column: a.columns[i], Live: shown(a.values[i]), Log: shown(b.values[i])})
				}
			}
			err = errors.Join(a.next(), b.next())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// side is a cursor over one of the two tables.
type side struct {
	rows    *sql.Rows
	columns []string
	keys    int
	values  []any
	key     []int64
	ok      bool
}

func openSide(ctx context.Context, q querier, table string) (*side, error) {
	keys := 1
	switch table {
	case "columns", "members", "dependencies", "work":
		keys = 2
	case "claims":
		keys = 3
	}
	// The key comes first in every table.
	order := []string{"1", "2", "3"}[:keys]
	rows, err := q.QueryContext(ctx, "SELECT * FROM "+table+" ORDER BY "+strings.Join(order, ", ")) //nolint:rowserrcheck // next checks it
	if err != nil {
		return nil, err
	}
	columns, err := rows.Columns()
	if err != nil {
		return nil, errors.Join(err, rows.Close()) //nolint:sqlclosecheck // the side outlives this
	}
	s := &side{rows: rows, columns: columns, keys: keys}
	if err := s.next(); err != nil {
		return nil, errors.Join(err, rows.Close())
	}
	return s, nil
}

func (s *side) next() error {
	if s.ok = s.rows.Next(); !s.ok {
		s.key = nil
		return s.rows.Err()
	}
	s.values = make([]any, len(s.columns))
	into := make([]any, len(s.columns))
	for i := range into {
		into[i] = &s.values[i]
	}
	if err := s.rows.Scan(into...); err != nil {
		return err
	}
	s.key = s.key[:0]
	for i := range s.keys {
		n, ok := s.values[i].(int64)
		if !ok {
			return fmt.Errorf("the key holds %T", s.values[i])
		}
		s.key = append(s.key, n)
	}
	return nil
}

// name is the primary key as text.
func (s *side) name() string {
	parts := make([]string, len(s.key))
	for i, n := range s.key {
		parts[i] = fmt.Sprint(n)
	}
	return strings.Join(parts, "/")
}

// shown cuts a value to a readable length.
func shown(value any) string {
	if value == nil {
		return "null"
	}
	const most = 60
	text := []rune(fmt.Sprint(value))
	if len(text) > most {
		return string(text[:most]) + "…"
	}
	return string(text)
}
