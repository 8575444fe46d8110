package storetest

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

func testLedger(t *testing.T, open Open) {
	store := open(t)
	rec := events.CommandRecord{
		ID: "c-1", Actor: "human:7", RequestSHA: events.Hash{1, 2, 3}, First: 5, Last: 6,
		Stream: "board-1", Version: 3, RecordedAt: epoch,
	}
	other := rec
	other.Actor, other.First, other.RequestSHA = "agent:7", 9, events.Hash{4}

	tx := begin(t, store)
	if _, found, err := tx.Command(t.Context(), rec.ID, rec.Actor); found || err != nil {
		t.Fatalf("before: got found %v (%v), want nothing", found, err)
	}
	for _, r := range []events.CommandRecord{rec, other} {
		if err := tx.Record(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	wantCommand(t, tx, rec)
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}

	tx = begin(t, store)
	wantCommand(t, tx, rec)
	wantCommand(t, tx, other)
	for _, key := range [][2]string{{"c-1", "human:8"}, {"c-2", "human:7"}, {"", ""}, {"C-1", "human:7"}} {
		if _, found, err := tx.Command(t.Context(), key[0], key[1]); found || err != nil {
			t.Errorf("%v: got found %v (%v), want nothing", key, found, err)
		}
	}
	all, err := tx.Commands(t.Context(), "c-1")
	if err != nil || len(all) != 2 || all[0].Actor != rec.Actor || all[1].Actor != other.Actor || all[1].RequestSHA != other.RequestSHA {
		t.Errorf("of every actor: got %+v (%v), want both", all, err)
	}
	if none, err := tx.Commands(t.Context(), "c-2"); err != nil || len(none) != 0 {
		t.Errorf("an unknown id: got %+v (%v), want nothing", none, err)
	}
	if err := tx.Record(t.Context(), rec); !errors.Is(err, events.ErrConflict) {
		t.Errorf("recorded twice: got %v, want ErrConflict", err)
	}
}

func wantCommand(t *testing.T, tx events.Tx, want events.CommandRecord) {
	t.Helper()
	got, found, err := tx.Command(t.Context(), want.ID, want.Actor)
	if err != nil || !found || !got.RecordedAt.Equal(want.RecordedAt) || got.RecordedAt.Location() != time.UTC {
		t.Fatalf("command: got %+v, %v (%v), want %+v", got, found, err, want)
	}
	got.RecordedAt = want.RecordedAt
	if got != want {
		t.Errorf("command: got %+v, want %+v", got, want)
	}
}

func testSnapshots(t *testing.T, open Open) {
	store := open(t)
	tx := begin(t, store)
	if _, found, err := tx.Snapshot(t.Context(), "board-1", 1); found || err != nil {
		t.Fatalf("before: got found %v (%v), want nothing", found, err)
	}
	large := bytes.Repeat([]byte{0, 1, 2, 0xff}, 1<<18)
	for _, snap := range []events.Snapshot{
		{Stream: "board-1", Version: 3, Position: 9, Schema: 1, State: []byte{0, 0xff, 'x'}},
		{Stream: "board-1", Version: 4, Position: 12, Schema: 1, State: large},
		{Stream: "board-2", Version: 1, Position: 13, Schema: 1, State: nil},
	} {
		if err := tx.SaveSnapshot(t.Context(), snap); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}

	tx = begin(t, store)
	got, found, err := tx.Snapshot(t.Context(), "board-1", 1)
	if err != nil || !found || got.Version != 4 || got.Position != 12 || got.Schema != 1 || got.Stream != "board-1" || !bytes.Equal(got.State, large) {
		t.Errorf("the newest: got version %d of %q, %d bytes, found %v (%v)", got.Version, got.Stream, len(got.State), found, err)
	}
	if got, found, err := tx.Snapshot(t.Context(), "board-2", 1); err != nil || !found || len(got.State) != 0 {
		t.Errorf("an empty state: got %d bytes, found %v (%v)", len(got.State), found, err)
	}
	if _, found, err := tx.Snapshot(t.Context(), "board-1", 2); found || err != nil {
		t.Errorf("another schema: got found %v (%v), want nothing", found, err)
	}
	// A new schema replaces the old one's state.
	if err := tx.SaveSnapshot(t.Context(), events.Snapshot{Stream: "board-1", Version: 4, Position: 12, Schema: 2, State: []byte("2")}); err != nil {
		t.Fatal(err)
	}
	if _, found, err := tx.Snapshot(t.Context(), "board-1", 1); found || err != nil {
		t.Errorf("the replaced schema: got found %v (%v), want nothing", found, err)
	}
	if got, found, err := tx.Snapshot(t.Context(), "board-1", 2); !found || err != nil || string(got.State) != "2" {
		t.Errorf("the new schema: got %q, found %v (%v)", got.State, found, err)
	}
}

func testHeartbeats(t *testing.T, open Open) {
	store := open(t)
	first := events.Heartbeat{TicketID: 7, Fence: 40, At: epoch, ExpiresAt: epoch.Add(time.Minute)}
	second := events.Heartbeat{TicketID: 9, Fence: 41, At: epoch, ExpiresAt: epoch.Add(time.Hour)}
	later := first
	later.At, later.ExpiresAt = first.At.Add(time.Second), first.ExpiresAt.Add(time.Second)
	wanted := func(tx events.Tx, want ...events.Heartbeat) {
		t.Helper()
		got, err := tx.Heartbeats(t.Context())
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("heartbeats: got %+v (%v), want %+v", got, err, want)
		}
	}
	tx := begin(t, store)
	wanted(tx)
	for _, h := range []events.Heartbeat{second, first, later} {
		if err := tx.SaveHeartbeat(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	tx = begin(t, store)
	wanted(tx, later, second)
	for _, ticket := range []int64{9, 10} {
		if err := tx.DropHeartbeat(t.Context(), ticket); err != nil {
			t.Errorf("drop that of %d: %v", ticket, err)
		}
	}
	wanted(tx, later)
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	wanted(begin(t, store), later, second)
}

// The tables of others change together with the log, or not at all.
func testSQL(t *testing.T, open Open) {
	store := open(t)
	var h history
	tx := begin(t, store)
	exec(t, tx, "CREATE TABLE storetest_side (n INTEGER)")
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}

	tx = begin(t, store)
	exec(t, tx, "INSERT INTO storetest_side (n) VALUES (1)")
	if err := tx.Append(t.Context(), h.seal(t, comment(1, 1, 1))); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	tx = begin(t, store)
	exec(t, tx, "INSERT INTO storetest_side (n) VALUES (2)")
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}

	var count int
	if err := begin(t, store).SQL().QueryRowContext(t.Context(), "SELECT count(*) FROM storetest_side").Scan(&count); err != nil || count != 1 {
		t.Errorf("rows: got %d (%v), want the committed one", count, err)
	}
	wantHead(t, store, h.head())
}

func exec(t *testing.T, tx events.Tx, text string) {
	t.Helper()
	if _, err := tx.SQL().ExecContext(t.Context(), text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}
