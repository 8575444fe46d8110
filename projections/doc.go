// Package projections turns envelopes into rows: one Projector per view, a Runner
// that applies what a Subscription delivers together with its checkpoint in one
// transaction, a Watermark that tells how far it is, Rebuild and Compare. Beside
// them stands Timeline, the same fold without SQL: it answers how a board was at
// an earlier time, and it is the oracle that the rows are tested against. It
// imports events and readmodel.
//
//	watermark := projections.NewWatermark()
//	runner, err := projections.NewRunner(projections.Config{
//		DB: db.Writer(), Update: db.UpdateRelaxed, Log: db, Watermark: watermark,
//		Subscribe: func(after int64) projections.Subscription { return tail.Subscribe(after) },
//	})
//	err = runner.Start(ctx) // a *StaleError asks for Rebuild
//	defer runner.Stop()
//	err = watermark.Wait(ctx, receipt.Position)
//	snapshot, err := projections.BoardAt(ctx, db, boardID, projections.At{Time: yesterday})
package projections
