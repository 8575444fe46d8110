package commands

import (
	"context"
	"testing"

	"github.com/agent-kanban/agent-kanban/events"
)

// busyStore cannot begin, as when another process holds the database: each try
// takes the whole busy timeout.
type busyStore struct {
	events.Store
	begins int
}

func (*busyStore) LogID() string { return "log" }

func (s *busyStore) Begin(context.Context) (events.Tx, error) {
	s.begins++
	return nil, events.Errorf(events.CodeUnavailable, "busy")
}

func TestBusyDatabaseIsTriedTwiceForAWholeBatch(t *testing.T) {
	t.Parallel()
	store := &busyStore{}
	seq, err := New(Config{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	batch := make([]*call, 20)
	for i := range batch {
		batch[i] = &call{ctx: t.Context(), generated: true}
	}
	seq.process(batch)
	for i, c := range batch {
		if events.CodeOf(c.err) != events.CodeUnavailable {
			t.Errorf("call %d: got %v, want %s", i, c.err, events.CodeUnavailable)
		}
	}
	if store.begins != 2 {
		t.Errorf("the database was asked %d times, want 2", store.begins)
	}
}
