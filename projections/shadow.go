package projections

import (
	"context"
	"database/sql"
	"fmt"
)

// shadow is the suffix of the tables that a rebuild fills.
const shadow = "_shadow"

// dropShadows removes what a rebuild that was cut off left behind.
func dropShadows(ctx context.Context, db *sql.DB, update UpdateFunc) error {
	var found int
	for _, name := range tables {
		var n int
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?", name+shadow).Scan(&n); err != nil {
			return fmt.Errorf("look for shadow tables: %w", err)
		}
		found += n
	}
	if found == 0 {
		return nil
	}
	err := update(ctx, func(ctx context.Context, tx *sql.Tx) error {
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
