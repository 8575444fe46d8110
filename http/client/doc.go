// Package client speaks to a Kanban server over HTTP: typed calls for boards,
// tickets, comments, history, accounts and the log, and Follow, which keeps
// reading events across restarts of the server without losing or repeating one.
//
// It imports events, commands (the shapes of requests) and readmodel (the shapes
// of replies). A refusal by the server comes back as the *events.Error that the
// server raised; every write carries an Idempotency-Key, so that a retry after a
// broken connection never does the same thing twice.
//
//	c, err := client.New(client.Config{URL: "http://127.0.0.1:18000", Token: token})
//	board, err := c.CreateBoard(ctx, commands.CreateBoard{Name: "Website"})
//	ticket, err := c.CreateTicket(ctx, commands.CreateTicket{
//		Board: commands.RefID(board.ID), Title: "Say hello",
//	})
//	for e, err := range c.Follow(ctx, client.EventQuery{Board: "WEB"}, nil) {
//		…
//	}
package client
