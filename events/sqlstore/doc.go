// Package sqlstore keeps the log in SQLite: events.Store over raw prepared SQL,
// and the same file's door for everyone else who writes to it. It imports events
// and migrations.
//
//	lock, err := sqlstore.Lock(dataDir) // one server per data directory
//	defer lock.Release()
//	db, err := sqlstore.Open(ctx, sqlstore.Options{Path: path, Create: firstStart})
//	defer db.Close()
//
//	tx, err := db.Begin(ctx) // waits for its turn
//	defer tx.Rollback()
//	sealed, err := events.Seal(tx.Head(), envelope, fact)
//	err = tx.Append(ctx, []events.Envelope{sealed})
//	err = tx.Commit() // on disk when it returns
//
//	page, err := db.Read(ctx, events.Query{BoardID: 1, After: position})
//
// # Connections
//
// Two ways lead into the file. One connection writes, each transaction as
// durable as it asks for: with synchronous=FULL, for the log, a commit that
// returned survives a power cut; with NORMAL, for what can be rebuilt, it
// survives a crash. A connection for each would cost more: every commit of one
// empties the page cache of the other. A pool of connections that cannot write
// reads. Writers take one mutex of the process before BEGIN IMMEDIATE.
//
// A write transaction never sees the caller's context, only the wait for its
// turn does: a cancelled statement would roll back half of a batch under the
// feet of the other half.
//
// # Checkpoints
//
// The WAL is copied back by whichever commit finds it longer than
// Options.Checkpoint pages. Relaxed commits have the lower threshold, so that it
// is normally the projections that pay and not a command that somebody
// waits for. Readers work in pages, therefore none holds the WAL for long, and
// it is cut back to journal_size_limit after each round.
package sqlstore
