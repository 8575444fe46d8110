package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/agent-kanban/agent-kanban/events"
)

func testBeginSerialises(t *testing.T, open Open) {
	store := open(t)
	const writers, rounds = 8, 5
	errs := make(chan error, writers*rounds)
	var wg sync.WaitGroup
	for w := range int64(writers) {
		wg.Go(func() {
			for n := range int64(rounds) {
				errs <- appendNext(t.Context(), store, comment(w+1, 1, n), n+1)
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	got, err := store.Read(t.Context(), events.Query{})
	if err != nil || len(got) != writers*rounds {
		t.Fatalf("read: got %d events (%v), want %d", len(got), err, writers*rounds)
	}
	var previous events.Head
	for i := range got {
		if err := events.Check(previous, &got[i]); err != nil {
			t.Fatal(err)
		}
		previous = got[i].Head()
	}
}

// appendNext appends d behind whatever the transaction finds.
func appendNext(ctx context.Context, store events.Store, d draft, version int64) error {
	tx, err := store.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	d.envelope.Version, d.envelope.RecordedAt = version, epoch
	d.envelope.ID = fmt.Sprintf("%s/%d", d.envelope.Stream, version)
	sealed, err := events.Seal(tx.Head(), d.envelope, d.fact)
	if err != nil {
		return err
	}
	if err := tx.Append(ctx, []events.Envelope{sealed}); err != nil {
		return err
	}
	return tx.Commit()
}

func testBeginCancelled(t *testing.T, open Open) {
	store := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if tx, err := store.Begin(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("begin with a cancelled context: got %v, %v, want context.Canceled", tx, err)
	}

	holder := begin(t, store)
	ctx, cancel = context.WithCancel(t.Context())
	waited := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		tx, err := store.Begin(ctx)
		if err == nil {
			err = errors.Join(errors.New("two transactions are open"), tx.Rollback())
		}
		waited <- err
	})
	cancel()
	if err := <-waited; !errors.Is(err, context.Canceled) {
		t.Errorf("begin cancelled while waiting: got %v, want context.Canceled", err)
	}
	wg.Wait()
	// Neither the one that held on nor those who come later were disturbed.
	var h history
	if err := holder.Append(t.Context(), h.seal(t, comment(1, 1, 1))); err != nil {
		t.Fatal(err)
	}
	if err := holder.Commit(); err != nil {
		t.Fatal(err)
	}
	commit(t, store, h.seal(t, comment(1, 1, 2)))
	wantHead(t, store, h.head())
}

// Whoever asked may have gone; the batch has others in it.
func testTransactionOutlivesContext(t *testing.T, open Open) {
	store := open(t)
	var h history
	commit(t, store, h.seal(t, comment(1, 1, 1)))
	ctx, cancel := context.WithCancel(t.Context())
	tx, err := store.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	cancel()
	if _, err := tx.Read(ctx, events.Query{}); err != nil {
		t.Errorf("read: %v", err)
	}
	if err := tx.Append(ctx, h.seal(t, comment(1, 1, 2))); err != nil {
		t.Errorf("append: %v", err)
	}
	if err := tx.Record(ctx, events.CommandRecord{ID: "c", Actor: "human:7", RecordedAt: epoch}); err != nil {
		t.Errorf("record: %v", err)
	}
	if _, found, err := tx.Command(ctx, "c", "human:7"); !found || err != nil {
		t.Errorf("command: got found %v (%v)", found, err)
	}
	if err := tx.Commit(); err != nil {
		t.Errorf("commit: %v", err)
	}
	wantHead(t, store, h.head())
}

func testReadersSeeCommitted(t *testing.T, open Open) {
	store := open(t)
	var h history
	commit(t, store, h.seal(t, comment(1, 1, 1)))
	head := h.head()
	tx := begin(t, store)
	if err := tx.Append(t.Context(), h.seal(t, comment(1, 1, 2))); err != nil {
		t.Fatal(err)
	}
	wantHead(t, store, head) // and reading does not wait for the writer
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	wantHead(t, store, h.head())
}
