package sqlstore

import (
	"context"
	"fmt"
	"strings"
)

// maxFaults bounds what QuickCheck reports of one table.
const maxFaults = 10

// QuickCheck looks for damage in the structure of the file, and returns a line
// for each fault, none where it is sound. It reads beside those who write, one
// table at a time: between two of them the WAL can be copied back. A large log
// takes seconds per million events.
func (db *DB) QuickCheck(ctx context.Context) ([]string, error) {
	tables, err := db.texts(ctx, `SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name`)
	if err != nil {
		return nil, err
	}
	var faults []string
	for _, table := range tables {
		lines, err := db.texts(ctx, fmt.Sprintf(`PRAGMA quick_check('%s')`, strings.ReplaceAll(table, "'", "''")))
		if err != nil {
			return faults, fmt.Errorf("table %s: %w", table, err)
		}
		if len(lines) == 1 && lines[0] == "ok" {
			continue
		}
		for _, line := range lines[:min(len(lines), maxFaults)] {
			faults = append(faults, table+": "+line)
		}
	}
	return faults, nil
}

// texts returns the first column of a query.
func (db *DB) texts(ctx context.Context, query string) ([]string, error) {
	rows, err := db.readers.QueryContext(ctx, query)
	if err != nil {
		return nil, wrap("check", err)
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, wrap("check", err)
		}
		list = append(list, text)
	}
	return list, wrap("check", rows.Err())
}
