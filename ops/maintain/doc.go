// Package maintain looks after the database file: it deletes refresh tokens that
// have expired, keeps the query planner's statistics fresh, gives unused pages
// back, checks every page, and empties the WAL. It works on a database that a
// server uses meanwhile; whoever writes waits for one small step at a time. It
// imports nothing of ours but ops/machine.
//
//	report, err := maintain.Run(ctx, db, maintain.Options{})
//	for _, s := range report.Steps {
//		fmt.Println(s.Name, s.Detail)
//	}
//
// A Schedule does the same inside of a server, by the clock.
package maintain
