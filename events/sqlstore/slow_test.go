package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/events/sqlstore"
)

func TestTemplate(t *testing.T) {
	t.Parallel()
	for statement, want := range map[string]string{
		"SELECT 1":                               "SELECT ?",
		"SELECT * FROM t\n\tWHERE a = 'it''s' ":  "SELECT * FROM t WHERE a = ?",
		`SELECT "t2"."a 'b'" FROM "t2" LIMIT 20`: `SELECT "t2"."a 'b'" FROM "t2" LIMIT ?`,
		"IN (1, 2,3, 'x', x'0F', ?)":             "IN (?)",
		"VALUES (?1, :name, -2.5e10, .5)":        "VALUES (?, :name, -?)",
		"a1 = 0xFF -- password 'x'\nAND b":       "a1 = ? AND b",
		"a /* 'secret' */ b":                     "a  b",
		"a = 'unfinished":                        "a = ?",
		"a /* unfinished 'secret'":               "a",
		"`n1` = X'00'":                           "`n1` = ?",
		"":                                       "",
	} {
		if got := sqlstore.Template(statement); got != strings.Join(strings.Fields(want), " ") {
			t.Errorf("Template(%q) = %q, want %q", statement, got, want)
		}
	}
	if n := len(sqlstore.Template("SELECT " + strings.Repeat("a,", 1<<20))); n > 4<<10 {
		t.Errorf("a long statement has %d bytes left", n)
	}
}

func FuzzTemplate(f *testing.F) {
	f.Add("SELECT 'a', \"b\" /* c */ -- d")
	f.Fuzz(func(t *testing.T, s string) {
		const secret = "Geheimnis"
		if strings.ContainsAny(s, "'\"`/-xX") {
			_ = sqlstore.Template(s) // must not fail
			return
		}
		if got := sqlstore.Template(s + " '" + secret + s + "'"); strings.Contains(got, secret) {
			t.Errorf("%q keeps the value", got)
		}
	})
}

// Every way to run a statement is timed, on both pools.
func TestSlowStatementsAreTold(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	told := map[string]int{}
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{
		Path: filepath.Join(t.TempDir(), "agent_kanban.db"), Create: true, Slow: time.Nanosecond,
		OnSlow: func(statement string, took time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			if took <= 0 {
				t.Errorf("%s took %v", statement, took)
			}
			told[statement]++
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const secret = "'Geheimnis'"
	for name, run := range map[string]func(ctx context.Context) error{
		"SELECT a FROM (SELECT ? AS a)": func(ctx context.Context) error {
			var a string
			return db.Reader().QueryRowContext(ctx, "SELECT a FROM (SELECT "+secret+" AS a)").Scan(&a)
		},
		"SELECT b FROM (SELECT ? AS b)": func(ctx context.Context) error {
			s, err := db.Reader().PrepareContext(ctx, "SELECT b FROM (SELECT ? AS b)")
			if err != nil {
				return err
			}
			defer s.Close()
			rows, err := s.QueryContext(ctx, secret)
			if err != nil {
				return err
			}
			if types, err := rows.ColumnTypes(); err != nil || len(types) != 1 {
				t.Errorf("column types: %v, %v", types, err)
			}
			for rows.Next() {
			}
			return errors.Join(rows.Err(), rows.Close())
		},
		"CREATE TEMP TABLE c AS SELECT ?": func(ctx context.Context) error {
			return db.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
				_, err := tx.ExecContext(ctx, "CREATE TEMP TABLE c AS SELECT "+secret)
				return err
			})
		},
		"COMMIT": func(context.Context) error { return nil },
		"BEGIN":  func(context.Context) error { return nil },
		"DELETE FROM d WHERE a = ?": func(ctx context.Context) error {
			return db.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
				if _, err := tx.ExecContext(ctx, "CREATE TEMP TABLE d (a)"); err != nil {
					return err
				}
				s, err := tx.PrepareContext(ctx, "DELETE FROM d WHERE a = ?")
				if err != nil {
					return err
				}
				defer s.Close()
				_, err = s.ExecContext(ctx, secret)
				return err
			})
		},
	} {
		if err := run(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		defer func() {
			mu.Lock()
			defer mu.Unlock()
			if told[name] == 0 {
				t.Errorf("%s was not told; these were: %v", name, told)
			}
		}()
	}
	mu.Lock()
	defer mu.Unlock()
	for statement := range told {
		if strings.Contains(statement, "Geheimnis") {
			t.Errorf("%s has a value in it", statement)
		}
	}
}

func TestNothingIsTimedWithoutALimit(t *testing.T) {
	t.Parallel()
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{
		Path: filepath.Join(t.TempDir(), "agent_kanban.db"), Create: true,
		OnSlow: func(statement string, _ time.Duration) { t.Errorf("told of %s", statement) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
