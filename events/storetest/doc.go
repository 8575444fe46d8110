// Package storetest is the conformance suite of events.Store: every engine runs
// it unchanged, so that nothing above can tell them apart. It imports events,
// and only tests import it.
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) events.Store {
//			db, err := sqlstore.Open(t.Context(), sqlstore.Options{
//				Path: filepath.Join(t.TempDir(), "log.db"), Create: true,
//			})
//			if err != nil {
//				t.Fatal(err)
//			}
//			t.Cleanup(func() { db.Close() })
//			return db
//		})
//	}
//
// A store that outlives its process implements Reopener besides; what the suite
// then asks of it is that nothing committed is gone.
package storetest
