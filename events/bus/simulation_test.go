package bus

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// slowLog shows the first rows of a finished log, as they are committed; its
// readers may see them later than they are announced, as on a replica.
type slowLog struct {
	rows []events.Envelope

	mu                 sync.Mutex
	committed, visible int64
	broken             bool
}

func (l *slowLog) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

func (l *slowLog) Head(context.Context) (events.Head, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.broken:
		return events.Head{}, errDisk
	case l.visible == 0:
		return events.Head{}, nil
	}
	return l.rows[l.visible-1].Head(), nil
}

func (l *slowLog) Read(_ context.Context, q events.Query) ([]events.Envelope, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken {
		return nil, errDisk
	}
	last := min(l.visible, q.After+int64(q.Limit))
	if q.After >= last {
		return nil, nil
	}
	return append([]events.Envelope(nil), l.rows[q.After:last]...), nil
}

func (l *slowLog) LogID() string { return "log" }

// TestSimulation: whatever happens between the one who commits and the Tail —
// batches that get lost, come twice, late or in another order, commits of other
// processes, hints that are old or lies, a table that fails or lags — every
// subscription sees 1…N once, in order.
func TestSimulation(t *testing.T) {
	t.Parallel()
	rows := newLog(600).rows
	seeds := uint64(1500)
	if testing.Short() {
		seeds = 100
	}
	for seed := range seeds {
		if !simulate(t, rows, seed) {
			t.Fatalf("seed %d failed", seed)
		}
	}
}

func simulate(t *testing.T, rows []events.Envelope, seed uint64) (ok bool) {
	ok = true
	synctest.Test(t, func(t *testing.T) {
		dice := rand.New(rand.NewPCG(seed, 1))
		log := &slowLog{rows: rows}
		total := int64(100 + dice.IntN(len(rows)-100))
		start := dice.Int64N(total / 2)
		log.committed, log.visible = start, start
		tail, err := NewTail(TailConfig{
			Log: log, MaxEvents: 1 + dice.IntN(100), MaxBytes: 1 << (10 + dice.IntN(10)), MaxBatch: 1 + dice.IntN(40),
		})
		if err != nil {
			t.Error(err)
			return
		}
		if err := tail.Start(t.Context()); err != nil {
			t.Error(err)
			return
		}
		var readers sync.WaitGroup
		for range 6 {
			after, pace := dice.Int64N(total), rand.New(rand.NewPCG(seed, dice.Uint64()))
			readers.Go(func() {
				if !follow(t, tail.Subscribe(after), after, total, pace) {
					ok = false
				}
			})
		}
		var late [][]events.Envelope // handed over later, in any order
		for head := tail.Head(); log.committed < total; {
			if now := tail.Head(); now < head || now > log.committed {
				t.Errorf("seed %d: head went from %d to %d, committed %d", seed, head, now, log.committed)
				ok = false
			} else {
				head = now
			}
			n := min(1+dice.Int64N(20), total-log.committed)
			batch := rows[log.committed : log.committed+n]
			log.set(func() {
				log.committed += n
				if dice.IntN(4) > 0 {
					log.visible = log.committed
				}
				log.broken = dice.IntN(10) == 0
			})
			switch dice.IntN(6) {
			case 0: // lost, or another process's
			case 1:
				late = append(late, batch)
			case 2:
				tail.Publish(batch)
				tail.Publish(batch[dice.IntN(len(batch)):])
			default:
				tail.Publish(batch)
			}
			if len(late) > 0 && dice.IntN(3) == 0 {
				i := dice.IntN(len(late))
				tail.Publish(late[i])
				late = append(late[:i], late[i+1:]...)
			}
			if dice.IntN(3) == 0 {
				tail.hint(dice.Int64N(2 * total))
			}
			if dice.IntN(3) == 0 {
				<-time.After(time.Duration(dice.IntN(2000)) * time.Millisecond)
			}
		}
		log.set(func() { log.visible, log.broken = total, false })
		readers.Wait()
		if tail.Head() != total {
			t.Errorf("seed %d: head is %d, want %d", seed, tail.Head(), total)
			ok = false
		}
		tail.Stop()
	})
	return ok
}

// follow reads with pauses and checks every position.
func follow(t *testing.T, sub *Subscription, last, total int64, pace *rand.Rand) bool {
	for last < total {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+pace.IntN(5000))*time.Millisecond)
		batch, err := sub.Next(ctx)
		cancel()
		if err != nil && !errors.Is(err, errDisk) && !errors.Is(err, ErrMissing) && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("next: %v", err)
			return false
		}
		if (err == nil) != (len(batch) > 0) {
			t.Errorf("next: got %d events and %v", len(batch), err)
			return false
		}
		for i := range batch {
			if last++; batch[i].Position != last {
				t.Errorf("got %d, want %d", batch[i].Position, last)
				return false
			}
		}
		if pace.IntN(4) == 0 {
			<-time.After(time.Duration(pace.IntN(3000)) * time.Millisecond)
		}
	}
	return true
}
