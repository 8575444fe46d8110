// Package commands is the write side: what may be asked (Command), what is
// decided (the pure Decide functions over a board's state), how state follows
// from events (evolve), and the Sequencer, the only way to append to the log.
//
// It imports events and no other package of ours: a decision never reads a view.
//
//	seq, err := commands.New(commands.Config{Store: store, Publish: tail.Publish})
//	err = seq.Start(ctx)
//	defer seq.Stop()
//	receipt, err := seq.Do(ctx, commands.Meta{Actor: alice},
//		commands.MoveTicket{Ticket: "WEB-12", Column: "Done"})
//	// receipt.Position: everyone who has read that far has seen the move
package commands
