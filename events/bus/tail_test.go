package bus

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

func newTail(t *testing.T, config TailConfig) *Tail {
	t.Helper()
	tail, err := NewTail(config)
	if err != nil {
		t.Fatal(err)
	}
	return tail
}

// positions reads until sub has returned last.
func positions(t *testing.T, sub *Subscription, last int64) []int64 {
	t.Helper()
	var got []int64
	for sub.Position() < last {
		batch, err := sub.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(batch) == 0 {
			t.Fatal("next: got an empty batch")
		}
		for i := range batch {
			got = append(got, batch[i].Position)
		}
	}
	return got
}

func sequence(from, to int64) []int64 {
	var out []int64
	for p := from; p <= to; p++ {
		out = append(out, p)
	}
	return out
}

func want(t *testing.T, got []int64, from, to int64) {
	t.Helper()
	if w := sequence(from, to); !slices.Equal(got, w) {
		t.Errorf("positions: got %d of them, %v, want %d…%d", len(got), got, from, to)
	}
}

func TestSeam(t *testing.T) {
	t.Parallel()
	log := newLog(1000)
	tail := newTail(t, TailConfig{Log: log, MaxEvents: 40, MaxBatch: 30})
	if err := tail.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer tail.Stop()
	if tail.Head() != 1000 {
		t.Errorf("head: got %d, want the table's", tail.Head())
	}
	for range 100 {
		tail.Publish(log.grow(1))
	}
	for _, after := range []int64{0, 999, 1000, 1001, 1050, 1059, 1060, 1061, 1099} {
		want(t, positions(t, tail.Subscribe(after), 1100), after+1, 1100)
	}
	before := log.reads
	want(t, positions(t, tail.Subscribe(1080), 1100), 1081, 1100)
	if log.reads != before {
		t.Errorf("reads: got %d, want the window to answer", log.reads-before)
	}
	if batch, err := tail.Subscribe(-5).Next(t.Context()); err != nil || len(batch) != 30 || batch[0].Position != 1 {
		t.Errorf("from before the beginning: got %d events (%v), want the first 30", len(batch), err)
	}
}

func TestLaggingSubscriptionGetsSmallBatchesTogether(t *testing.T) {
	t.Parallel()
	log := newLog(0)
	tail := newTail(t, TailConfig{Log: log})
	sub := tail.Subscribe(0)
	for range 200 {
		tail.Publish(log.grow(1))
	}
	batch, err := sub.Next(t.Context())
	if err != nil || len(batch) != 200 {
		t.Errorf("got %d events (%v), want 200 at once", len(batch), err)
	}
}

// A reader holds its batch while the window goes on behind it.
func TestBatchesNeverChange(t *testing.T) {
	t.Parallel()
	log := newLog(0)
	tail := newTail(t, TailConfig{Log: log, MaxEvents: 16})
	tail.Publish(log.grow(2))
	batch, err := tail.Subscribe(0).Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		tail.Publish(log.grow(1))
	}
	if len(batch) != 2 || cap(batch) != 2 || batch[1].Position != 2 {
		t.Errorf("got %d events up to %d, want 1 and 2 still", len(batch), batch[1].Position)
	}
}

func TestWindowIsBounded(t *testing.T) {
	t.Parallel()
	log := newFatLog(0, 10_000)
	tail := newTail(t, TailConfig{Log: log, MaxBytes: 1 << 20})
	for range 1000 {
		tail.Publish(log.grow(1))
		if w := &tail.window; w.bytes > 1<<20+1<<18 {
			t.Fatalf("window: %d bytes in %d events, want about a MiB", w.bytes, w.events)
		}
	}
	if tail.window.events < 50 {
		t.Errorf("window: got %d events, want as many as fit", tail.window.events)
	}
	count := 0
	for _, c := range tail.window.chunks {
		count += len(c.list)
	}
	if count != tail.window.events {
		t.Errorf("window: counted %d, found %d", tail.window.events, count)
	}
}

func TestNextWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := newLog(3)
		tail := newTail(t, TailConfig{Log: log})
		if err := tail.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var got []error
		var mu sync.Mutex
		var all sync.WaitGroup
		for range 200 {
			all.Go(func() {
				sub := tail.Subscribe(3)
				for {
					batch, err := sub.Next(ctx)
					mu.Lock()
					if err != nil {
						got = append(got, err)
						mu.Unlock()
						return
					}
					if batch[0].Position != 4 {
						t.Errorf("got %d, want 4", batch[0].Position)
					}
					got = append(got, nil)
					mu.Unlock()
				}
			})
		}
		synctest.Wait()
		if len(got) != 0 {
			t.Errorf("before: %d returned, want none", len(got))
		}
		tail.Publish(log.grow(1))
		synctest.Wait()
		if len(got) != 200 {
			t.Errorf("after publish: %d returned, want 200", len(got))
		}
		cancel()
		all.Wait()
		if len(got) != 400 || !errors.Is(got[399], context.Canceled) {
			t.Errorf("after cancel: %d returned, want 400 with the context's error", len(got))
		}
		tail.Stop()
		tail.Stop()
		if err := tail.Start(t.Context()); !errors.Is(err, ErrStopped) {
			t.Errorf("start again: got %v, want ErrStopped", err)
		}
	})
}

// Nobody hands over what another process commits: the poll finds it.
func TestPoll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := newLog(3)
		tail := newTail(t, TailConfig{Log: log, MaxEvents: 100})
		if err := tail.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer tail.Stop()
		began := time.Now()
		sub := tail.Subscribe(3)
		log.grow(20)
		want(t, positions(t, sub, 23), 4, 23)
		log.grow(500) // more than the window
		want(t, positions(t, sub, 523), 24, 523)
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("took %s, want one second each", took)
		}
		if tail.window.events != 0 {
			t.Errorf("window: got %d events, want the leap left to the table", tail.window.events)
		}
		log.fail(errDisk)
		<-time.After(3 * time.Second)
		log.fail(nil)
		log.grow(1)
		want(t, positions(t, sub, 524), 524, 524)
	})
}

func TestHintsAreNotBelieved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := newLog(3)
		tail := newTail(t, TailConfig{Log: log})
		if err := tail.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer tail.Stop()
		tail.hint(50)
		tail.hint(2)
		synctest.Wait()
		if tail.Head() != 3 {
			t.Errorf("head: got %d, want the table's 3", tail.Head())
		}
		log.grow(2)
		tail.hint(4)
		synctest.Wait()
		if tail.Head() != 5 {
			t.Errorf("head: got %d, want all that is committed", tail.Head())
		}
	})
}

func TestNextReturnsTheTablesError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := newLog(10)
		tail := newTail(t, TailConfig{Log: log})
		if err := tail.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer tail.Stop()
		sub := tail.Subscribe(2)
		log.fail(errDisk)
		if _, err := sub.Next(t.Context()); !errors.Is(err, errDisk) {
			t.Errorf("got %v, want the table's error", err)
		}
		log.fail(nil)
		want(t, positions(t, sub, 10), 3, 10)

		// A row that is said to be committed and does not come.
		tail.Publish([]events.Envelope{newLog(12).row(12)})
		if _, err := sub.Next(t.Context()); !errors.Is(err, ErrMissing) {
			t.Errorf("got %v, want ErrMissing", err)
		}
		log.grow(2)
		want(t, positions(t, sub, 12), 11, 12)
	})
}
