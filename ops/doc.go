// Package ops is what operators do to a log as a whole: write it out, restore
// it, and verify it; ops/legacy imports the system that this one replaces. It
// imports events and readmodel, never projections: what compares read models
// with a fold of the log is handed in.
//
//	head, err := ops.Export(ctx, store, file, ops.ExportOptions{})
//	head, err = ops.Import(ctx, emptyStore, file, ops.ImportOptions{})
//	report, err := ops.Verify(ctx, store, ops.VerifyOptions{Compare: compare})
//	if err == nil && !report.OK() {
//		report.WriteText(os.Stdout) // each finding names its position
//	}
//
// # The exported file
//
// One JSON value per line. The first says what follows: {"format":
// "kanban-log/1", "log_id": …, "head": {"position": …, "hash": …}, "ledger": true}. Then every
// event in order, in the form it has everywhere (CloudEvents 1.0 JSON). Then,
// if the log is a database, the ledger of commands, {"command": {…}} ordered by
// id and actor, so that a command repeated after a restore is still recognised.
// The last line, {"end": {"head": …, "events": n, "commands": n, "sha256": …}},
// tells a complete file from one that was cut off or changed: the sum is over
// every byte before it. The same log gives the same bytes.
package ops
