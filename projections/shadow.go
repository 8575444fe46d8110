package projections

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"slices"
)

// shadow is the suffix of the tables that a rebuild fills.
const shadow = "_shadow"

// needed are the indexes that the projectors themselves look things up by; the
// others are made when the rows are complete, which is faster. Without one of
// these a rebuild takes the square of its time (TestRebuildLooksUpByIndex).
var needed = []string{
	"idx_tickets_board_id", "idx_comments_ticket_id", "idx_dependencies_depends_on",
}

// definition is one table or index as SQLite keeps it, which is how the
// migrations wrote it, or how a renamed table looks: CREATE TABLE "boards" (…
type definition struct{ kind, name, table, text string }

var named = regexp.MustCompile(`^(CREATE (?:TABLE|INDEX)) "?(\w+)"?(?: ON "?(\w+)"?)?`)

// suffixed is the definition of the same thing under names with a suffix.
func (d definition) suffixed(suffix string) string {
	if d.kind == "index" {
		return named.ReplaceAllString(d.text, "${1} ${2}"+suffix+" ON ${3}"+suffix)
	}
	return named.ReplaceAllString(d.text, "${1} ${2}"+suffix)
}

// definitions reads how the tables that are rebuilt, and their indexes, are
// defined. Tables come first.
func definitions(ctx context.Context, q querier) ([]definition, error) {
	rows, err := q.QueryContext(ctx, `SELECT type, name, tbl_name, sql FROM sqlite_schema
		WHERE type IN ('table', 'index') AND sql IS NOT NULL ORDER BY type DESC, rowid`)
	if err != nil {
		return nil, fmt.Errorf("read the schema: %w", err)
	}
	defer rows.Close()
	var list []definition
	for rows.Next() {
		var d definition
		if err := rows.Scan(&d.kind, &d.name, &d.table, &d.text); err != nil {
			return nil, fmt.Errorf("read the schema: %w", err)
		}
		if !slices.Contains(tables, d.table) {
			continue
		}
		if !named.MatchString(d.text) {
			return nil, fmt.Errorf("read the schema: cannot make a shadow of %s", d.name)
		}
		list = append(list, d)
	}
	return list, rows.Err()
}

// createTables makes the tables with a suffix, and the indexes that filling them
// needs.
func createTables(ctx context.Context, tx *sql.Tx, all []definition, suffix string) error {
	for _, d := range all {
		if d.kind == "index" && !slices.Contains(needed, d.name) {
			continue
		}
		if _, err := tx.ExecContext(ctx, d.suffixed(suffix)); err != nil {
			return fmt.Errorf("create %s%s: %w", d.name, suffix, err)
		}
	}
	return nil
}

// swap puts the shadow tables in the place of the live ones and gives them every
// index.
func swap(ctx context.Context, tx *sql.Tx, all []definition) error {
	var texts []string
	for _, name := range needed {
		texts = append(texts, "DROP INDEX "+name+shadow)
	}
	for _, name := range tables {
		texts = append(texts, "DROP TABLE "+name, "ALTER TABLE "+name+shadow+" RENAME TO "+name)
	}
	for _, d := range all {
		if d.kind == "index" {
			texts = append(texts, d.suffixed(""))
		}
	}
	for _, text := range texts {
		if _, err := tx.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("swap tables: %s: %w", text, err)
		}
	}
	return nil
}

// dropShadows removes what a rebuild that was cut off left behind.
func dropShadows(ctx context.Context, db *sql.DB, update UpdateFunc) error {
	var found int
	err := db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name LIKE '%\_shadow' ESCAPE '\'`).Scan(&found)
	if err != nil {
		return fmt.Errorf("look for shadow tables: %w", err)
	}
	if found == 0 {
		return nil
	}
	err = update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for _, name := range tables {
			if _, err := tx.ExecContext(ctx, "DROP TABLE IF EXISTS "+name+shadow); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("drop shadow tables: %w", err)
	}
	return nil
}
