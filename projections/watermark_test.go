package projections

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestWatermarkWakesThoseItReaches(t *testing.T) {
	t.Parallel()
	w := NewWatermark()
	five, nine := w.Reached(5), w.Reached(9)
	isOpen := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return false
		default:
			return true
		}
	}
	w.Advance(4)
	if !isOpen(five) || !isOpen(nine) {
		t.Fatal("at 4: want nobody woken")
	}
	w.Advance(7)
	if isOpen(five) || !isOpen(nine) {
		t.Errorf("at 7: got 5 woken %v, 9 woken %v, want only 5", !isOpen(five), !isOpen(nine))
	}
	w.Advance(6) // never back
	if got := w.Position(); got != 7 {
		t.Errorf("after Advance(6): got position %d, want 7", got)
	}
	if isOpen(w.Reached(7)) {
		t.Error("Reached(7) at 7: want a closed channel")
	}
}

func TestWatermarkForgetsThoseWhoGiveUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := NewWatermark()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if err := w.Wait(ctx, 1<<60); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait: got %v, want a deadline", err)
		}
		if n := len(w.waiting); n != 0 {
			t.Errorf("got %d waiters left, want 0", n)
		}
	})
}

func TestWatermarkUnderRace(t *testing.T) {
	t.Parallel()
	const last = 5000
	w := NewWatermark()
	var wg sync.WaitGroup
	for start := range int64(8) {
		wg.Go(func() {
			for position := start; position <= last; position += 3 {
				if position%2 == 0 {
					<-w.Reached(position)
				} else if err := w.Wait(t.Context(), position); err != nil {
					t.Errorf("wait: %v", err)
					return
				}
				if got := w.Position(); got < position {
					t.Errorf("woken for %d at %d", position, got)
					return
				}
			}
		})
	}
	for position := int64(0); position <= last; position += 7 {
		w.Advance(position)
	}
	w.Advance(last)
	wg.Wait()
}
