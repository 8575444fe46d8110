package storetest

import (
	"bytes"
	"errors"
	"testing"

	"github.com/agent-kanban/agent-kanban/events"
)

// emptied is the redaction of the events at some positions of a history.
func (h *history) emptied(tb fataler, x events.Erasure, positions ...int64) []events.Emptied {
	tb.Helper()
	var list []events.Emptied
	for _, p := range positions {
		left, _, err := x.Of(&h.log[p-1])
		if err != nil {
			tb.Fatalf("redact: %v", err)
		}
		list = append(list, left)
	}
	return list
}

// The events that a data_redacted event names lose their data with it, and
// nothing else.
func testRedaction(t *testing.T, open Open) {
	store := open(t)
	var h history
	commit(t, store, h.seal(t, comment(1, 1, 1), comment(1, 1, 2), comment(1, 2, 3)))
	tx := begin(t, store)
	if err := tx.SaveSnapshot(t.Context(), events.Snapshot{Stream: "board-1", Version: 3, Position: 3, Schema: 1, State: []byte("text")}); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	user := h.log[0].Actor.ID
	left := h.emptied(t, events.Erasure{Texts: true}, 1, 3)
	redaction := draft{
		envelope: events.Envelope{Stream: "board-1", BoardID: 1, Actor: events.Actor{Kind: events.Human, ID: 99, Name: "admin"}},
		fact:     events.DataRedacted{Target: "events/1-3", Reason: "test", Events: left, UserID: user},
	}
	commit(t, store, h.seal(t, redaction))

	got, err := store.Read(t.Context(), events.Query{})
	if err != nil || len(got) != 4 {
		t.Fatalf("read: got %d events (%v), want 4", len(got), err)
	}
	var head events.Head
	for i := range got {
		e := &got[i]
		if err := events.Check(head, e); err != nil {
			t.Error(err)
		}
		head = e.Head()
		wantGone := i == 0 || i == 2
		if e.Redacted() != wantGone {
			t.Errorf("position %d: redacted %v, want %v", e.Position, e.Redacted(), wantGone)
		}
		name := events.ErasedName(user)
		if i == 3 {
			name = "admin"
		}
		if e.Actor.Name != name || e.Hash != h.log[i].Hash {
			t.Errorf("position %d: by %q, hash %s; want %q and the hash as before", e.Position, e.Actor.Name, e.Hash, name)
		}
	}
	for i, p := range []int{0, 2} {
		if err := left[i].CheckKept(&got[p]); err != nil || !bytes.Equal(got[p].Kept, left[i].Kept) {
			t.Errorf("position %d: kept %s (%v), want %s", p+1, got[p].Kept, err, left[i].Kept)
		}
	}
	wantHead(t, store, h.head())
	if _, found, err := begin(t, store).Snapshot(t.Context(), "board-1", 1); found || err != nil {
		t.Errorf("snapshot: found %v (%v), want it dropped", found, err)
	}
}

// A redaction that does not fit leaves everything as it was.
func testRedactionRefused(t *testing.T, open Open) {
	store := open(t)
	var h history
	commit(t, store, h.seal(t, comment(1, 1, 1)))
	kept := h.emptied(t, events.Erasure{Texts: true}, 1)[0]
	forged, later := kept, kept
	forged.SHA[0] ^= 1
	later.Position = 2
	for name, x := range map[string]events.Emptied{"another sum": forged, "not before it": later} {
		var wrong history
		wrong.log, wrong.versions = append(wrong.log, h.log...), map[string]int64{"board-1": 1}
		batch := wrong.seal(t, draft{
			envelope: events.Envelope{Stream: "board-1", BoardID: 1},
			fact:     events.DataRedacted{Target: "events/1-1", Reason: "test", Events: []events.Emptied{x}},
		})
		tx := begin(t, store)
		if err := tx.Append(t.Context(), batch); err == nil || errors.Is(err, events.ErrConflict) {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
	}
	got, err := store.Read(t.Context(), events.Query{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "read", got, h.log)
}
