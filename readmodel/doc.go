// Package readmodel is the query side: the views that clients see, and the typed
// queries that read them from the rows which the projections keep. It imports
// events and migrations; bun stays inside. Permissions are not decided here, but
// every list takes the Viewer and leaves out what that viewer may not see.
//
//	queries, err := readmodel.New(ctx, db.Reader())
//	defer queries.Close()
//	viewer := readmodel.Viewer{UserID: 3, Scope: scope}
//	access, err := queries.Access(ctx, boardID, viewer) // role on the board
//	page, err := queries.Tickets(ctx, viewer, readmodel.TicketFilter{BoardID: boardID, Label: "bug"})
//	snapshot, err := queries.Snapshot(ctx, boardID)
//
// What does not exist is an *events.Error with CodeNotFound.
package readmodel
