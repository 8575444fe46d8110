package storetest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/agent-kanban/agent-kanban/events"
)

func testEmpty(t *testing.T, open Open) {
	store := open(t)
	wantHead(t, store, events.Head{})
	page, err := store.Read(t.Context(), events.Query{})
	if err != nil || len(page) != 0 {
		t.Errorf("read: got %d events (%v), want none", len(page), err)
	}
	if head := begin(t, store).Head(); head != (events.Head{}) {
		t.Errorf("head in the transaction: got %v, want the zero Head", head)
	}
}

func testAppendAndRead(t *testing.T, open Open) {
	store := open(t)
	var h history
	for _, n := range []int{1, 3, 64, 1} {
		commit(t, store, h.seal(t, mixed(n)...))
		wantHead(t, store, h.head())
	}
	got, err := store.Read(t.Context(), events.Query{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "read", got, h.log)
	var previous events.Head
	for i := range got {
		if err := events.Check(previous, &got[i]); err != nil {
			t.Fatal(err)
		}
		previous = got[i].Head()
	}
}

func testAppendSeesItself(t *testing.T, open Open) {
	store := open(t)
	var h history
	commit(t, store, h.seal(t, comment(1, 1, 1)))
	tx := begin(t, store)
	if tx.Head() != h.head() {
		t.Fatalf("head: got %v, want %v", tx.Head(), h.head())
	}
	for n := range int64(3) {
		if err := tx.Append(t.Context(), h.seal(t, comment(1, 1, n), comment(2, 2, n))); err != nil {
			t.Fatal(err)
		}
		if tx.Head() != h.head() {
			t.Fatalf("head: got %v, want %v", tx.Head(), h.head())
		}
		got, err := tx.Read(t.Context(), events.Query{})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "read in the transaction", got, h.log)
	}
}

func testAppendNothing(t *testing.T, open Open) {
	store := open(t)
	var h history
	commit(t, store, h.seal(t, comment(1, 1, 1)))
	commit(t, store, nil)
	wantHead(t, store, h.head())
}

func testConflict(t *testing.T, open Open) {
	first := func(t *testing.T) (*history, events.Store) {
		store, h := open(t), new(history)
		commit(t, store, h.seal(t, comment(1, 1, 1), comment(1, 1, 2)))
		return h, store
	}
	for _, test := range []struct {
		name  string
		batch func(t *testing.T, h *history) []events.Envelope
	}{
		{"position taken", func(t *testing.T, _ *history) []events.Envelope {
			var other history
			return other.seal(t, comment(2, 1, 1), comment(2, 1, 2))[1:]
		}},
		{"position skipped", func(t *testing.T, h *history) []events.Envelope {
			return h.seal(t, comment(1, 1, 3), comment(1, 1, 4))[1:]
		}},
		{"batch with a gap", func(t *testing.T, h *history) []events.Envelope {
			batch := h.seal(t, comment(1, 1, 3), comment(1, 1, 4), comment(1, 1, 5))
			return []events.Envelope{batch[0], batch[2]}
		}},
		{"batch with a repeat", func(t *testing.T, h *history) []events.Envelope {
			batch := h.seal(t, comment(1, 1, 3))
			return []events.Envelope{batch[0], batch[0]}
		}},
		{"version taken", func(t *testing.T, h *history) []events.Envelope {
			h.versions[events.BoardStream(1)] = 1
			return h.seal(t, comment(1, 1, 3))
		}},
		{"version taken within the batch", func(t *testing.T, h *history) []events.Envelope {
			batch := h.seal(t, comment(1, 1, 3))
			h.versions[events.BoardStream(1)]--
			return append(batch[:1:1], h.seal(t, comment(1, 1, 4))...)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h, store := first(t)
			head := h.head()
			tx := begin(t, store)
			if err := tx.Append(t.Context(), test.batch(t, h)); !errors.Is(err, events.ErrConflict) {
				t.Errorf("append: got %v, want ErrConflict", err)
			}
			if err := tx.Rollback(); err != nil {
				t.Errorf("rollback: %v", err)
			}
			wantHead(t, store, head)
		})
	}
}

func testConflictThenContinue(t *testing.T, open Open) {
	store := open(t)
	var h, other history
	commit(t, store, h.seal(t, comment(1, 1, 1)))
	tx := begin(t, store)
	if err := tx.Append(t.Context(), other.seal(t, comment(2, 1, 1))); !errors.Is(err, events.ErrConflict) {
		t.Fatalf("append: got %v, want ErrConflict", err)
	}
	if err := tx.Append(t.Context(), h.seal(t, comment(1, 1, 2))); err != nil {
		t.Fatalf("append after a refused position: %v", err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	wantHead(t, store, h.head())
}

// Reads by board rely on it.
func testBoardOnAnotherStream(t *testing.T, open Open) {
	store := open(t)
	var h history
	d := comment(1, 1, 1)
	d.envelope.Stream = events.BoardStream(2)
	if err := begin(t, store).Append(t.Context(), h.seal(t, d)); err == nil {
		t.Error("append: got no error for an event of board 1 on the stream of board 2")
	}
}

func testRollback(t *testing.T, open Open) {
	store := open(t)
	var h history
	commit(t, store, h.seal(t, mixed(5)...))
	head := h.head()

	tx := begin(t, store)
	if err := tx.Append(t.Context(), h.seal(t, mixed(3)...)); err != nil {
		t.Fatal(err)
	}
	if err := tx.Record(t.Context(), events.CommandRecord{ID: "c", Actor: "human:7", RecordedAt: epoch}); err != nil {
		t.Fatal(err)
	}
	if err := tx.SaveSnapshot(t.Context(), events.Snapshot{Stream: "board-1", Version: 1, Position: 1, Schema: 1, State: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}

	wantHead(t, store, head)
	got, err := store.Read(t.Context(), events.Query{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "read", got, h.log[:5])
	tx = begin(t, store)
	if tx.Head() != head {
		t.Errorf("head: got %v, want %v", tx.Head(), head)
	}
	if _, found, err := tx.Command(t.Context(), "c", "human:7"); found || err != nil {
		t.Errorf("command: got found %v (%v), want nothing", found, err)
	}
	if _, found, err := tx.Snapshot(t.Context(), "board-1", 1); found || err != nil {
		t.Errorf("snapshot: got found %v (%v), want nothing", found, err)
	}
}

func testEndTwice(t *testing.T, open Open) {
	store := open(t)
	var h history
	tx := begin(t, store)
	if err := tx.Append(t.Context(), h.seal(t, comment(1, 1, 1))); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(); err != nil {
		t.Errorf("rollback after commit: got %v, want nil", err)
	}
	if err := tx.Commit(); err == nil {
		t.Error("second commit: got nil, want an error")
	}
	wantHead(t, store, h.head())
	tx = begin(t, store)
	for range 2 {
		if err := tx.Rollback(); err != nil {
			t.Errorf("rollback: %v", err)
		}
	}
	if err := tx.Commit(); err == nil {
		t.Error("commit after rollback: got nil, want an error")
	}
	begin(t, store) // the turn was given back exactly once each time
}

func testText(t *testing.T, open Open) {
	store := open(t)
	var h history
	for _, text := range []string{
		"", " ", "Grüße, 世界 🙂", "\u202eright to left", "e\u0301 \u00e9", "'; DROP TABLE events; --", `\ " ' % _`,
		"line\nbreak\ttab\r", "\u2028\u2029", "<b>&amp;</b>", "\x00 and \x1f", "\U0010ffff\ufffd", strings.Repeat("ü", 5000),
	} {
		d := comment(1, 1, 1)
		d.fact = events.CommentAdded{CommentID: 1, Text: text}
		if !strings.ContainsRune(text, 0) {
			d.envelope.Actor.Name, d.envelope.CommandID = text, text
			d.envelope.CorrelationID, d.envelope.CausationID = text, text
		}
		commit(t, store, h.seal(t, d))
	}
	got, err := store.Read(t.Context(), events.Query{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "read", got, h.log)
	for i := range got {
		if got[i].CommandID == "" {
			continue
		}
		q := events.Query{CommandID: got[i].CommandID, Actor: got[i].Actor.Name, After: got[i].Position - 1, UpTo: got[i].Position}
		page, err := store.Read(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "read by text", page, h.log[i:i+1])
	}
}

func testLargeData(t *testing.T, open Open) {
	store := open(t)
	var h history
	drafts := mixed(3)
	drafts[1].fact = events.CommentAdded{CommentID: 1, Text: strings.Repeat("0123456789abcdef", 4<<20/16)}
	commit(t, store, h.seal(t, drafts...))
	got, err := store.Read(t.Context(), events.Query{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "read", got, h.log)
}

// An import may bring events whose data was removed before.
func testRedacted(t *testing.T, open Open) {
	store := open(t)
	var h history
	h.seal(t, mixed(3)...)
	h.log[1].Data = nil
	commit(t, store, h.log)
	got, err := store.Read(t.Context(), events.Query{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "read", got, h.log)
	if _, err := got[1].Payload(); !errors.Is(err, events.ErrRedacted) {
		t.Errorf("payload: got %v, want ErrRedacted", err)
	}
}

func testLogID(t *testing.T, open Open) {
	a, b := open(t), open(t)
	if id := a.LogID(); id == "" || a.LogID() != id {
		t.Errorf("log id: got %q, then %q, want one that stays", id, a.LogID())
	}
	if a.LogID() == b.LogID() {
		t.Errorf("log id: two logs have %q", a.LogID())
	}
}

func testReopen(t *testing.T, open Open) {
	store := open(t)
	reopener, ok := store.(Reopener)
	if !ok {
		t.Skip("this store is no Reopener")
	}
	var h history
	commit(t, store, h.seal(t, mixed(10)...))
	tx := begin(t, store)
	rec := events.CommandRecord{ID: "c", Actor: "human:7", First: 1, Last: 2, Stream: "board-1", Version: 2, RecordedAt: epoch}
	if err := tx.Record(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	id := store.LogID()

	store = reopener.Reopen(t)
	if store.LogID() != id {
		t.Errorf("log id: got %q, want %q as before", store.LogID(), id)
	}
	wantHead(t, store, h.head())
	got, err := store.Read(context.Background(), events.Query{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "read", got, h.log)
	if got, found, err := begin(t, store).Command(t.Context(), "c", "human:7"); got != rec || !found || err != nil {
		t.Errorf("command: got %+v, %v (%v), want %+v", got, found, err, rec)
	}
}
