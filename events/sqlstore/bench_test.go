package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
)

const perTransaction = 64

// batch returns the next 64 events of a board.
func batch(b *testing.B, head events.Head) []events.Envelope {
	list := make([]events.Envelope, perTransaction)
	at := time.Unix(1_800_000_000, 0)
	for i := range list {
		n := head.Position + 1
		sealed, err := events.Seal(head, events.Envelope{
			Stream: events.BoardStream(1), Version: n, BoardID: 1, TicketID: n,
			ID: fmt.Sprintf("01890000-0000-7000-8000-%012d", n), RecordedAt: at,
			Actor:     events.Actor{Kind: events.Human, ID: 7, Name: "ada"},
			CommandID: fmt.Sprintf("01890000-0000-7000-9000-%012d", n),
		}, events.TicketCreated{
			Number: n, Key: "WEB-1", Title: "A ticket with a title of the usual length", Priority: events.Medium,
			Description: "Two sentences say what is wrong. They are as long as such sentences are.",
			Labels:      []string{"bug"}, ColumnID: 1, Column: "Not Started", Rank: "a0",
		})
		if err != nil {
			b.Fatal(err)
		}
		list[i], head = sealed, sealed.Head()
	}
	return list
}

// BenchmarkAppend compares Append with the barest way to insert the same rows:
// one prepared statement on one connection, the same pragmas, 64 rows to a
// transaction. "of_raw" is the share of its speed; both run in turn, so that
// they share the disk's moods.
func BenchmarkAppend(b *testing.B) {
	ctx := context.Background()
	dir := b.TempDir()
	db, err := sqlstore.Open(ctx, sqlstore.Options{Path: filepath.Join(dir, "log.db"), Create: true})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	raw := rawTable(b, filepath.Join(dir, "raw.db"))
	var head events.Head
	var ours, theirs time.Duration
	var slowest time.Duration
	for b.Loop() {
		rows := batch(b, head)
		head = rows[len(rows)-1].Head()
		start := time.Now()
		if err := appendBatch(ctx, db, rows); err != nil {
			b.Fatal(err)
		}
		middle := time.Now()
		if err := raw(rows); err != nil {
			b.Fatal(err)
		}
		ours += middle.Sub(start)
		theirs += time.Since(middle)
		slowest = max(slowest, middle.Sub(start))
	}
	rate := func(d time.Duration) float64 { return float64(b.N*perTransaction) / d.Seconds() }
	b.ReportMetric(rate(ours), "events/s")
	b.ReportMetric(rate(theirs), "raw_rows/s")
	b.ReportMetric(100*theirs.Seconds()/ours.Seconds(), "%_of_raw")
	b.ReportMetric(float64(slowest.Microseconds())/1000, "slowest_ms")
}

func appendBatch(ctx context.Context, db events.Store, rows []events.Envelope) error {
	tx, err := db.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if err := tx.Append(ctx, rows); err != nil {
		return err
	}
	return tx.Commit()
}

// rawTable returns what inserts rows into a bare table of the same columns and
// indexes, without triggers.
func rawTable(b *testing.B, path string) func([]events.Envelope) error {
	db, err := sql.Open("sqlite", "file://"+path+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(`CREATE TABLE events (position INTEGER PRIMARY KEY, stream TEXT, version INTEGER, type TEXT, schema INTEGER,
		id TEXT, recorded_at INTEGER, actor_kind TEXT, actor_id INTEGER, actor_name TEXT, command_id TEXT, correlation_id TEXT,
		causation_id TEXT, board_id INTEGER, ticket_id INTEGER, data TEXT, data_sha BLOB, hash BLOB) STRICT;
		CREATE UNIQUE INDEX a ON events (stream, version); CREATE INDEX c ON events (ticket_id, position)`); err != nil {
		b.Fatal(err)
	}
	insert, err := db.Prepare("INSERT INTO events VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)")
	if err != nil {
		b.Fatal(err)
	}
	return func(rows []events.Envelope) error {
		tx, err := db.Begin()
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		stmt := tx.Stmt(insert)
		for i := range rows {
			e := &rows[i]
			if _, err := stmt.Exec(e.Position, e.Stream, e.Version, string(e.Type), e.Schema, e.ID, e.RecordedAt.UnixMicro(),
				string(e.Actor.Kind), e.Actor.ID, e.Actor.Name, e.CommandID, e.CorrelationID, e.CausationID,
				e.BoardID, e.TicketID, string(e.Data), e.DataSHA[:], e.Hash[:]); err != nil {
				return err
			}
		}
		return tx.Commit()
	}
}

// BenchmarkRead is a page of 1,000 events by each index.
func BenchmarkRead(b *testing.B) {
	ctx := context.Background()
	db, err := sqlstore.Open(ctx, sqlstore.Options{Path: filepath.Join(b.TempDir(), "log.db"), Create: true})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	var head events.Head
	for range 200 {
		rows := batch(b, head)
		head = rows[len(rows)-1].Head()
		if err := appendBatch(ctx, db, rows); err != nil {
			b.Fatal(err)
		}
	}
	for name, q := range map[string]events.Query{
		"position": {After: 5000},
		"stream":   {Stream: "board-1", AfterVersion: 5000},
		"board":    {BoardID: 1, After: 5000},
		"ticket":   {TicketID: 5000},
	} {
		b.Run(name, func(b *testing.B) {
			events := 0
			for b.Loop() {
				page, err := db.Read(ctx, q)
				if err != nil {
					b.Fatal(err)
				}
				events += len(page)
			}
			b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
