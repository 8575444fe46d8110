// Package recover puts a log together again from whatever its damaged copies
// still hold: the database file and its WAL, the stream's folder, files of
// events that were saved, backups. Nothing a copy says is believed: an event
// counts only where the hash chain proves that it follows the one before. It
// imports events only; where the result goes is handed in.
//
//	scratch, err := recover.NewScratch(ctx, dir)
//	err = scratch.Collect(ctx, sources)      // the most trusted first
//	report, err := scratch.Plan(ctx)         // what came from where, and what is missing
//	err = scratch.Write(ctx, emptyLog, tables)
//
// Memory stays small however large the copies are: what they hold is kept in a
// scratch database on disk.
package recover
