package commands_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

// edit is one attempt to set a ticket's title: under an expected version, or
// with a command id that may have been used before.
type edit struct {
	title    string
	expected int64  // version the caller saw, 0 = any
	command  string // its idempotency key
}

type edited struct {
	version int64
	code    events.Code
}

// register is the specification: a title with a version, changed by
// compare-and-set, where a command that was carried out answers the same again.
type register struct {
	version int64
	title   string
	done    string // " command=version" of every command carried out
}

var editing = porcupine.Model{
	Init: func() any { return register{version: 3} },
	Step: func(state, in, out any) (bool, any) {
		s, op, got := state.(register), in.(edit), out.(edited)
		var was int64
		for _, d := range splitDone(s.done) {
			if d.command == op.command {
				was = d.version
			}
		}
		switch {
		case was != 0:
			return got.code == "" && got.version == was, s
		case op.expected != 0 && op.expected != s.version:
			return got.code == events.CodeVersionMismatch, s
		case got.code != "":
			return false, s
		default:
			next := register{version: got.version, title: op.title, done: fmt.Sprintf("%s %s=%d", s.done, op.command, got.version)}
			return got.version == s.version+1, next
		}
	},
	Equal: func(a, b any) bool { return a == b },
}

type carriedOut struct {
	command string
	version int64
}

func splitDone(s string) (list []carriedOut) {
	var d carriedOut
	for rest := s; rest != ""; {
		n, err := fmt.Sscanf(rest, " %s", &d.command)
		if n != 1 || err != nil {
			return list
		}
		rest = rest[1+len(d.command):]
		for i := range d.command {
			if d.command[i] == '=' {
				_, _ = fmt.Sscan(d.command[i+1:], &d.version)
				d.command = d.command[:i]
				break
			}
		}
		list = append(list, d)
	}
	return list
}

// TestEditsAreLinearizable lets clients race on one ticket with expected
// versions and repeated command ids, and has Porcupine look for an order of the
// calls, within their real times, that a single register would have answered so.
func TestEditsAreLinearizable(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.must(t, ada, commands.CreateTicket{Board: "WEB", Title: "start"}) // version 3 of the board
	const clients, calls = 8, 12
	var mu sync.Mutex
	var history []porcupine.Operation
	begun := time.Now()
	var wg sync.WaitGroup
	for c := range clients {
		rnd := rand.New(rand.NewPCG(7, uint64(c)))
		wg.Go(func() {
			seen := int64(3)
			for n := range calls {
				op := edit{title: fmt.Sprintf("t%d-%d", c, n), command: fmt.Sprintf("c%d-%d", c, n)}
				if rnd.IntN(2) == 0 {
					op.expected = seen
				}
				if n > 0 && rnd.IntN(4) == 0 { // a retry of the call before
					op.title, op.command, op.expected = fmt.Sprintf("t%d-%d", c, n-1), fmt.Sprintf("c%d-%d", c, n-1), 0
				}
				m := ada
				m.CommandID = op.command
				if op.expected != 0 {
					m.IfMatch = &op.expected
				}
				call := time.Since(begun).Nanoseconds()
				r, err := w.seq.Do(t.Context(), m, commands.UpdateTicket{Ticket: "WEB-1", Title: &op.title})
				got := edited{version: r.Version, code: events.CodeOf(err)}
				end := time.Since(begun).Nanoseconds()
				if got.code == "" {
					seen = max(seen, r.Version)
				}
				mu.Lock()
				history = append(history, porcupine.Operation{ClientId: c, Input: op, Output: got, Call: call, Return: end})
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if result := porcupine.CheckOperationsTimeout(editing, history, time.Minute); result != porcupine.Ok {
		t.Errorf("%d calls: %v, want an order that explains them", len(history), result)
	}
}
