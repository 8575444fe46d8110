// Package legacy imports a database of the Python agent-kanban system that this
// program replaces: its boards, tickets, ticket_history and comments become
// commands with their original times and actors, so that the log reads as if
// it had been kept all along. It imports events and commands.
//
//	report, err := legacy.Import(ctx, "old/agent_kanban.db", sequencer, store, legacy.Options{})
//	if err != nil {
//		return err // names the row; run it again to go on from there
//	}
//	report.WriteText(os.Stdout) // counts, every repair, what was left out
//
// The work has three steps. Read loads the file, read only, and refuses what is
// not such a database. plan turns rows into a list of steps ordered by time and
// decides every repair; it touches nothing, so a file that cannot be imported
// is refused before the first event. Then one command per row is issued. Each
// command's id is a fingerprint of the file and the row: what was carried out
// before is recognised by the ledger of commands, so a second run, or one after
// an interruption, only does what is missing.
//
// # Priorities
//
// The old system stored free text. Words keep their meaning in any case
// (critical is urgent). Numbers were sorted ascending, so lower came first:
// below 1 is urgent, 1.x high, 2.x medium, 3 and more low. Because ten numbers
// fit four words badly, the original stays visible as a label "priority:2.5.1".
//
// # Columns
//
// A card whose column its board lacks goes, in this order: to the column with
// the same letters and digits ("in_progress" is "In Progress"); for a number,
// which the old drag and drop wrote when a card was dropped on another card, to
// the column it came from; to the column that means the same ("todo" is
// "Not Started"); or else the column is added to its board. No card is lost,
// and the report lists each.
package legacy
