// Package migrations holds the schema of the database as numbered SQL files and
// brings a database up to date with them. It imports nothing of this module.
//
// To change the schema, drop a file NNNN_name.sql with the next free number into
// the sqlite folder; nothing else needs to be told. A file may hold several
// statements, contains no BEGIN or COMMIT, and is never edited or renumbered
// once released: there is no way back, only a further file.
//
//	db, err := sql.Open("sqlite", "file:agent_kanban.db?_pragma=busy_timeout(5000)")
//	if err != nil {
//		return err
//	}
//	if err := migrations.Apply(ctx, db); errors.Is(err, migrations.ErrNewer) {
//		return fmt.Errorf("upgrade this program: %w", err)
//	} else if err != nil {
//		return err
//	}
//
// # Why not a migration library
//
// The lock of bun/migrate is a row, which outlives a crash and then needs an
// operator. Here everything pending runs inside one BEGIN IMMEDIATE: SQLite's
// own lock, released by the kernel when the process dies, and a schema that
// changes as a whole or not at all. What is left to do is to read a list of
// numbers and run files, which is shorter than the calls to a library.
//
// The list is a table and not PRAGMA user_version because a single number
// cannot tell that an earlier file arrived late, from a branch merged after a
// later one was applied.
package migrations
