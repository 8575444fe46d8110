// Package bus is the JetStream side of the log. Tail is the end of the log as
// this process knows it, Subscription a cursor that joins it to the table
// without a seam, Relay the copy of the log in a JetStream stream for outside
// consumers and other processes. It imports events.
//
//	conn, err := bus.Connect(ctx, natsURL, embeddedServer, user, password)
//	tail, err := bus.NewTail(bus.TailConfig{Log: store, Conn: conn})
//	relay, err := bus.NewRelay(bus.RelayConfig{
//		Log: store, Tail: tail, Conn: conn,
//		RecoveredDir: filepath.Join(dataDir, "recovered"), Restart: embeddedServer.Restart,
//	})
//	err = tail.Start(ctx)
//	err = relay.Start(ctx) // before the first command, see Relay.Start
//
//	tail.Publish(batch) // after each commit
//	sub := tail.Subscribe(checkpoint)
//	batch, err := sub.Next(ctx) // checkpoint+1, …
//
// Stop in the opposite order: no more commands, Relay, consumers, Tail,
// connection, server. DESIGN.md beside this file tells the reasons.
package bus
