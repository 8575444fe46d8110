package commands_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

type mark struct{}

// The observer hears of a command in the order in which it happens: it begins,
// its events are durable, they are published, its outcome is known, it ends. A
// refusal has no events, a repeat none of its own.
func TestObserver(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var heard []string
	add := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, fmt.Sprintf(format, args...))
	}
	seq := sequence(t, commands.Config{
		Store:   open(t, filepath.Join(t.TempDir(), "kanban.db")),
		Publish: func(batch []events.Envelope) { add("published %d", batch[0].Position) },
		Observer: commands.Observer{
			Start: func(ctx context.Context, cmds []commands.Command) (context.Context, func(commands.Receipt, error)) {
				kind := cmds[0].CommandType()
				add("start %s", kind)
				return context.WithValue(ctx, mark{}, kind), func(r commands.Receipt, err error) {
					add("end %s at %d: %q", kind, r.Position, events.CodeOf(err))
				}
			},
			Committed: func(ctx context.Context, r commands.Receipt) {
				add("committed %v at %d", ctx.Value(mark{}), r.Position)
			},
			Done: func(kind string, err error, took time.Duration) {
				if took <= 0 || took > time.Minute {
					t.Errorf("%s took %s", kind, took)
				}
				add("done %s: %q", kind, events.CodeOf(err))
			},
		},
	})
	w := world{seq: seq}
	once := trusted
	once.CommandID = "once"
	w.must(t, once, commands.RegisterUser{Name: "ada", Kind: events.Human, Admin: true})
	w.must(t, once, commands.RegisterUser{Name: "ada", Kind: events.Human, Admin: true})
	_, err := seq.Do(t.Context(), ada, commands.UpdateBoard{Board: "WEB"}, commands.ArchiveBoard{Board: "WEB"})
	if events.CodeOf(err) != events.CodeNotFound {
		t.Fatalf("a board that there is not: %v", err)
	}
	want := []string{
		"start register_user", "committed register_user at 1", "published 1", `done register_user: ""`, `end register_user at 1: ""`,
		"start register_user", `done register_user: ""`, `end register_user at 1: ""`,
		"start update_board", `done update_board: "not_found"`, `done archive_board: "not_found"`, `end update_board at 0: "not_found"`,
	}
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff(want, heard); diff != "" {
		t.Errorf("heard (-want +got):\n%s", strings.TrimSpace(diff))
	}
}

// A lease that runs out is ended by the Sequencer itself, with no Do: Done hears
// of that, too.
func TestObserverHearsOfEndedLeases(t *testing.T) {
	t.Parallel()
	l := withLeases(t)
	l.seq.Stop()
	ended := make(chan error, 10)
	cfg := leaseConfig(l)
	cfg.Observer.Done = func(kind string, err error, _ time.Duration) {
		if kind == "expire_lease" {
			ended <- err
		}
	}
	l.seq = sequence(t, cfg)
	l.must(t, bot, commands.ClaimTicket{Ticket: "WEB-1", LeaseSeconds: 60})
	l.clock.forward(time.Minute)
	l.touch(t)
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("not told that the lease ended")
	}
}
