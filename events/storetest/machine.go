package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/agent-kanban/agent-kanban/events"
)

// machine drives a store with random transactions and compares it with a slice
// and two maps.
type machine struct {
	t     *testing.T
	store events.Store

	history
	commands  map[[2]string]events.CommandRecord
	snapshots map[string]events.Snapshot
}

func testMachine(t *testing.T, open Open) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &machine{
			t: t, store: open(t),
			commands: make(map[[2]string]events.CommandRecord), snapshots: make(map[string]events.Snapshot),
		}
		rt.Repeat(map[string]func(*rapid.T){
			"":         m.checkHead,
			"transact": m.transact,
			"conflict": m.conflict,
			"query":    m.query,
			"reopen":   m.reopen,
		})
	})
}

func (m *machine) checkHead(rt *rapid.T) {
	got, err := m.store.Head(m.t.Context())
	if err != nil || got != m.head() {
		rt.Fatalf("head: got %v (%v), want %v", got, err, m.head())
	}
}

func drawDraft(rt *rapid.T) draft {
	d := comment(rapid.Int64Range(1, 3).Draw(rt, "board"), rapid.Int64Range(0, 3).Draw(rt, "ticket"), 1)
	d.envelope.Actor.Name = rapid.SampledFrom([]string{"ada", "bot", "ümlaut"}).Draw(rt, "actor")
	d.envelope.CommandID = fmt.Sprint(rapid.IntRange(0, 5).Draw(rt, "command"))
	if d.envelope.TicketID == 0 {
		d.fact = events.BoardArchived{}
	} else {
		d.fact = events.CommentAdded{CommentID: 1, Text: rapid.String().Draw(rt, "text")}
	}
	return d
}

// transact does several things in one transaction, then keeps or drops it.
func (m *machine) transact(rt *rapid.T) {
	ctx := m.t.Context()
	tx, err := m.store.Begin(ctx)
	if err != nil {
		rt.Fatalf("begin: %v", err)
	}
	defer func() { _ = tx.Rollback() }()
	before := m.clone()
	for range rapid.IntRange(1, 4).Draw(rt, "steps") {
		switch rapid.IntRange(0, 2).Draw(rt, "step") {
		case 0:
			batch := m.seal(rt, rapid.SliceOfN(rapid.Custom(drawDraft), 0, 5).Draw(rt, "batch")...)
			if err := tx.Append(ctx, batch); err != nil {
				rt.Fatalf("append: %v", err)
			}
		case 1:
			m.record(rt, tx)
		case 2:
			m.snapshot(rt, tx)
		}
		if tx.Head() != m.head() {
			rt.Fatalf("head in the transaction: got %v, want %v", tx.Head(), m.head())
		}
	}
	if rapid.Bool().Draw(rt, "commit") {
		if err := tx.Commit(); err != nil {
			rt.Fatalf("commit: %v", err)
		}
		return
	}
	if err := tx.Rollback(); err != nil {
		rt.Fatalf("rollback: %v", err)
	}
	m.history, m.commands, m.snapshots = before.history, before.commands, before.snapshots
}

func (m *machine) clone() machine {
	c := machine{
		history:  history{log: m.log[:len(m.log):len(m.log)], versions: make(map[string]int64)},
		commands: make(map[[2]string]events.CommandRecord), snapshots: make(map[string]events.Snapshot),
	}
	for k, v := range m.versions {
		c.versions[k] = v
	}
	for k, v := range m.commands {
		c.commands[k] = v
	}
	for k, v := range m.snapshots {
		c.snapshots[k] = v
	}
	return c
}

func (m *machine) record(rt *rapid.T, tx events.Tx) {
	rec := events.CommandRecord{
		ID:    rapid.SampledFrom([]string{"c1", "c2", "c3"}).Draw(rt, "id"),
		Actor: rapid.SampledFrom([]string{"human:1", "agent:1"}).Draw(rt, "principal"),
		First: m.head().Position, Last: m.head().Position, Stream: "board-1",
		RecordedAt: epoch.Add(time.Duration(len(m.log)) * time.Microsecond),
	}
	key := [2]string{rec.ID, rec.Actor}
	known, exists := m.commands[key]
	got, found, err := tx.Command(m.t.Context(), rec.ID, rec.Actor)
	if err != nil || found != exists || got != known {
		rt.Fatalf("command %v: got %+v, %v (%v), want %+v, %v", key, got, found, err, known, exists)
	}
	if exists {
		return
	}
	if err := tx.Record(m.t.Context(), rec); err != nil {
		rt.Fatalf("record: %v", err)
	}
	m.commands[key] = rec
}

func (m *machine) snapshot(rt *rapid.T, tx events.Tx) {
	stream := rapid.SampledFrom([]string{"board-1", "board-2"}).Draw(rt, "stream")
	schema := rapid.IntRange(1, 2).Draw(rt, "schema")
	known, exists := m.snapshots[stream]
	exists = exists && known.Schema == schema
	got, found, err := tx.Snapshot(m.t.Context(), stream, schema)
	if err != nil || found != exists || (found && (got.Version != known.Version || !bytes.Equal(got.State, known.State))) {
		rt.Fatalf("snapshot of %s: got %+v, %v (%v), want %+v, %v", stream, got, found, err, known, exists)
	}
	snap := events.Snapshot{
		Stream: stream, Version: m.versions[stream], Position: m.head().Position, Schema: schema,
		State: rapid.SliceOf(rapid.Byte()).Draw(rt, "state"),
	}
	if err := tx.SaveSnapshot(m.t.Context(), snap); err != nil {
		rt.Fatalf("save snapshot: %v", err)
	}
	m.snapshots[stream] = snap
}

// conflict appends behind a head that is not the log's.
func (m *machine) conflict(rt *rapid.T) {
	wrong := m.head()
	wrong.Position += rapid.SampledFrom([]int64{-1, 1, 5}).Draw(rt, "distance")
	d := drawDraft(rt)
	sealed, err := events.Seal(wrong, d.envelope, d.fact)
	if err != nil {
		rt.Fatalf("seal: %v", err)
	}
	tx, err := m.store.Begin(m.t.Context())
	if err != nil {
		rt.Fatalf("begin: %v", err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := tx.Append(m.t.Context(), []events.Envelope{sealed}); !errors.Is(err, events.ErrConflict) {
		rt.Fatalf("append: got %v, want ErrConflict", err)
	}
}

func (m *machine) query(rt *rapid.T) {
	small := rapid.Int64Range(0, int64(len(m.log))+2)
	q := events.Query{
		After: small.Draw(rt, "after"), UpTo: small.Draw(rt, "up to"),
		Stream:   rapid.SampledFrom([]string{"", "", "board-1", "board-9"}).Draw(rt, "stream"),
		BoardID:  rapid.SampledFrom([]int64{0, 0, 1, 2}).Draw(rt, "board"),
		TicketID: rapid.SampledFrom([]int64{0, 0, 1, 2}).Draw(rt, "ticket"),
		Actor:    rapid.SampledFrom([]string{"", "", "ada", "ümlaut"}).Draw(rt, "actor"),
		Types:    rapid.SampledFrom([][]events.Type{nil, {events.TypeCommentAdded}, {events.TypeBoardArchived}}).Draw(rt, "types"),
		Limit:    rapid.IntRange(0, 5).Draw(rt, "limit"),
	}
	if q.Stream != "" {
		q.AfterVersion = small.Draw(rt, "after version")
	}
	got, err := m.store.Read(m.t.Context(), q)
	if err != nil {
		rt.Fatalf("%+v: %v", q, err)
	}
	same(rt, fmt.Sprintf("%+v", q), got, answer(m.log, q))
}

func (m *machine) reopen(rt *rapid.T) {
	if reopener, ok := m.store.(Reopener); ok && rapid.IntRange(0, 14).Draw(rt, "reopen") == 0 {
		m.store = reopener.Reopen(m.t)
	}
}
