package mcp

import (
	"context"
	"maps"
	"strings"
	"sync"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// fences remembers the fences of a caller's claims, by id and by key. A nil one
// remembers nothing. It is safe for concurrent use.
type fences struct {
	mu sync.Mutex
	of map[string]int64
}

func newFences() *fences { return &fences{of: make(map[string]int64)} }

func names(t *readmodel.Ticket) [2]string {
	return [2]string{string(commands.RefID(t.ID)), strings.ToUpper(t.Key)}
}

func (f *fences) keep(t *readmodel.Ticket, fence int64) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range names(t) {
		f.of[name] = fence
	}
}

func (f *fences) forget(t *readmodel.Ticket) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range names(t) {
		delete(f.of, name)
	}
}

// or returns the fence that was given, else the remembered one, else 0: the
// server then judges by who calls.
func (f *fences) or(given int64, ticket commands.Ref) int64 {
	if given != 0 || f == nil {
		return given
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.of[strings.ToUpper(strings.TrimSpace(string(ticket)))]
}

// drop forgets a fence.
func (f *fences) drop(fence int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.of, func(_ string, of int64) bool { return of == fence })
}

// ended learns from a refusal that the claim is over. Remembered for ever, its
// fence would refuse everything about the ticket to somebody who may do it
// without a claim, and has no way to say so. While somebody holds the ticket it
// stays: that may be another session of the same agent.
func (s *session) ended(ctx context.Context, ticket commands.Ref, fence int64, err error) {
	if s.fences == nil || fence == 0 || events.CodeOf(err) != events.CodeStaleClaim {
		return
	}
	if t, err := s.client.Ticket(ctx, ticket); err == nil && t.Lease == nil {
		s.fences.drop(fence)
	}
}
