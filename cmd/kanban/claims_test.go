package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/agent-kanban/agent-kanban/events"
)

// fleet is a server with a board and so many agents, each with a token of its
// own.
type fleet struct {
	*child
	admin  string
	tokens []string
}

// newFleet starts one; an agent may hold claims tickets at a time.
func newFleet(tb testing.TB, agents, claims int) *fleet {
	tb.Helper()
	f := &fleet{child: newChild(tb, tb.TempDir())}
	f.env = []string{"AGENT_COMMANDS_PER_MINUTE=0"} // what is measured is the board, not the limit
	f.start()
	f.admin = f.setup()
	f.post("/api/boards", f.admin, map[string]any{"name": "Fleet", "key": "FLT", "max_claims": claims, "columns": []string{"To do", "Doing", "Done"}})
	for n := range agents {
		reply := f.post("/api/auth/tokens", f.admin, map[string]any{"name": fmt.Sprintf("agent-%d", n), "kind": "agent", "role": "agent", "boards": []int{1}})
		f.tokens = append(f.tokens, reply["token"].(string))
	}
	return f
}

// plan creates so many tickets, a hundred in one call.
func (f *fleet) plan(count int) {
	f.tb.Helper()
	for from := 0; from < count; from += 100 {
		var list []any
		for n := from; n < min(from+100, count); n++ {
			list = append(list, map[string]any{"type": "create_ticket", "data": map[string]any{"board": 1, "title": fmt.Sprintf("Ticket %d", n+1)}})
		}
		text, err := json.Marshal(list)
		if err != nil {
			f.tb.Fatal(err)
		}
		w, err := dial(f.addr)
		if err != nil {
			f.tb.Fatal(err)
		}
		if status, reply, err := w.do("POST", "/api/commands", f.admin, "", string(text)); err != nil || status != http.StatusOK {
			f.tb.Fatalf("plan: %d %s %v", status, reply, err)
		}
		w.conn.Close()
	}
}

// verdict is what a claim came to: the ticket and its fence, or why there is none.
type verdict struct {
	ticket, fence int64
	code          events.Code
}

func readClaim(reply []byte) (verdict, error) {
	var r struct {
		Ticket *struct{ ID int64 }
		Lease  *struct{ Fence int64 }
		Code   events.Code
	}
	err := json.Unmarshal(reply, &r)
	got := verdict{code: r.Code}
	if r.Ticket != nil && r.Lease != nil {
		got.ticket, got.fence = r.Ticket.ID, r.Lease.Fence
	}
	return got, err
}

// holding is the specification of one ticket: nobody holds it, until one claim
// succeeds.
var holding = porcupine.Model{
	Init: func() any { return false },
	Step: func(state, _, out any) (bool, any) {
		held, got := state.(bool), out.(verdict)
		if got.code == "" {
			return !held && got.fence > 0, true
		}
		return held && got.code == events.CodeClaimed, held
	},
	Equal: func(a, b any) bool { return a == b },
}

// TestExactlyOneClaimWins has 2, 8 and 64 agents claim one ticket at the same
// moment, a thousand times each, through HTTP. Each round is checked by Porcupine:
// there is an order of the calls, within their real times, in which the first
// wins and all others are told that it is held. Fences rise from round to round.
func TestExactlyOneClaimWins(t *testing.T) {
	t.Parallel()
	const rounds = 1000
	for _, n := range []int{2, 8, 64} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			f := newFleet(t, n, 1)
			f.plan(1)
			wires := make([]*wire, n)
			for i := range wires {
				var err error
				if wires[i], err = dial(f.addr); err != nil {
					t.Fatal(err)
				}
				defer wires[i].conn.Close()
			}
			begun := time.Now()
			var fence int64
			ops := make([]porcupine.Operation, n)
			for round := range rounds {
				var wg sync.WaitGroup
				start := make(chan struct{})
				for i, w := range wires {
					wg.Go(func() {
						<-start
						call := time.Since(begun).Nanoseconds()
						_, reply, err := w.do("POST", "/api/tickets/1/claim", f.tokens[i], "", "{}")
						got, bad := readClaim(reply)
						ops[i] = porcupine.Operation{ClientId: i, Output: got, Call: call, Return: time.Since(begun).Nanoseconds()}
						if err != nil || bad != nil {
							t.Errorf("round %d: claim: %s %v", round, reply, err)
						}
					})
				}
				close(start)
				wg.Wait()
				if result := porcupine.CheckOperationsTimeout(holding, ops, time.Minute); result != porcupine.Ok {
					t.Fatalf("round %d: %v: %v, want exactly one winner", round, result, outputs(ops))
				}
				winner := slices.IndexFunc(ops, func(o porcupine.Operation) bool { return o.Output.(verdict).code == "" })
				if winner < 0 {
					t.Fatalf("round %d: nobody won: %v", round, outputs(ops))
				}
				got := ops[winner].Output.(verdict)
				if got.fence <= fence {
					t.Fatalf("round %d: fence %d after %d", round, got.fence, fence)
				}
				fence = got.fence
				body := fmt.Sprintf(`{"fence":%d}`, fence)
				if status, reply, err := wires[winner].do("POST", "/api/tickets/1/release", f.tokens[winner], "", body); err != nil || status != http.StatusOK {
					t.Fatalf("round %d: release: %d %s %v", round, status, reply, err)
				}
			}
		})
	}
}

func outputs(ops []porcupine.Operation) (out []verdict) {
	for _, op := range ops {
		out = append(out, op.Output.(verdict))
	}
	return out
}

// queueing is the specification of claim-next on tickets of one priority: they go
// one after the other, each once, until there is none.
func queueing(tickets int64) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return int64(1) },
		Step: func(state, _, out any) (bool, any) {
			next, got := state.(int64), out.(verdict)
			if got.ticket == 0 {
				return next > tickets, next
			}
			return got.ticket == next, next + 1
		},
		Equal: func(a, b any) bool { return a == b },
	}
}

// TestEveryTicketIsClaimedOnce lets 64 agents empty a board of 1,000 tickets with
// claim-next, and again with the server killed on the way: every ticket is
// claimed once, in the order of the board.
func TestEveryTicketIsClaimedOnce(t *testing.T) {
	t.Parallel()
	for name, kills := range map[string]int{"undisturbed": 0, "killed": 3} {
		t.Run(name, func(t *testing.T) {
			const agents, tickets = 64, 1000
			f := newFleet(t, agents, 100)
			f.plan(tickets)
			server := &gate{open: make(chan struct{})}
			server.up()
			var count atomic.Int64
			due := make(chan struct{}, kills)
			var mu sync.Mutex
			var history []porcupine.Operation
			begun := time.Now()
			var wg sync.WaitGroup
			for n := range agents {
				wg.Go(func() {
					var w *wire
					for i := 0; ; i++ {
						call := time.Since(begun).Nanoseconds()
						key := fmt.Sprintf("Idempotency-Key: next-%d\r\n", i)
						got, err := claimOver(f, &w, server, f.tokens[n], key)
						if err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						history = append(history, porcupine.Operation{ClientId: n, Output: got, Call: call, Return: time.Since(begun).Nanoseconds()})
						mu.Unlock()
						if got.ticket == 0 {
							return
						}
						if done := count.Add(1); kills > 0 && done%(tickets/4) == 0 && done < tickets {
							due <- struct{}{}
						}
					}
				})
			}
			for range kills {
				<-due
				server.down()
				f.kill()
				f.start()
				server.up()
			}
			wg.Wait()
			if result := porcupine.CheckOperationsTimeout(queueing(tickets), history, time.Minute); result != porcupine.Ok {
				t.Errorf("%d calls: %v, want every ticket once, in order", len(history), result)
			}
			if err := f.stop(); err != nil {
				t.Errorf("stop: %v\n%s", err, f.out)
			}
			holders := map[int64]int{}
			for _, e := range logOf(t, f.dir) {
				if e.Type == events.TypeTicketClaimed {
					holders[e.TicketID]++
				}
			}
			if len(holders) != tickets || count.Load() != tickets {
				t.Errorf("%d tickets were claimed in the log, %d acknowledged, want %d", len(holders), count.Load(), tickets)
			}
			for ticket, n := range holders {
				if n != 1 {
					t.Errorf("ticket %d was claimed %d times", ticket, n)
				}
			}
			if out, err := f.run("verify"); err != nil {
				t.Errorf("verify: %v\n%s", err, out)
			}
		})
	}
}

// claimOver asks for the next ticket until there is an answer, over as many
// deaths of the server as it takes.
func claimOver(f *fleet, w **wire, server *gate, token, key string) (verdict, error) {
	for {
		if *w == nil {
			<-server.wait()
			var err error
			if *w, err = dial(f.addr); err != nil {
				*w = nil
				continue
			}
		}
		status, reply, err := (*w).do("POST", "/api/boards/FLT/claim-next", token, key, "{}")
		if err != nil {
			(*w).conn.Close()
			*w = nil
			continue
		}
		if status == http.StatusServiceUnavailable {
			continue
		}
		got, err := readClaim(reply)
		if err != nil || status != http.StatusOK {
			return got, fmt.Errorf("claim-next: %d %s %w", status, reply, err)
		}
		return got, nil
	}
}

// BenchmarkClaimNextWaits is how long after the request that makes a ticket ready
// began the waiting claim-next has it.
func BenchmarkClaimNextWaits(b *testing.B) {
	f := newFleet(b, 1, 100)
	waiter, err := dial(f.addr)
	if err != nil {
		b.Fatal(err)
	}
	defer waiter.conn.Close()
	maker, err := dial(f.addr)
	if err != nil {
		b.Fatal(err)
	}
	defer maker.conn.Close()
	var took []time.Duration
	got := make(chan time.Time)
	for b.Loop() {
		go func() {
			status, reply, err := waiter.do("POST", "/api/boards/FLT/claim-next", f.tokens[0], "", `{"wait_seconds":60}`)
			c, _ := readClaim(reply)
			if err != nil || status != http.StatusOK || c.ticket == 0 {
				b.Errorf("claim-next: %d %s %v", status, reply, err)
			}
			got <- time.Now()
			body := fmt.Sprintf(`{"fence":%d}`, c.fence)
			if status, reply, err := waiter.do("POST", fmt.Sprintf("/api/tickets/%d/complete", c.ticket), f.tokens[0], "", body); err != nil || status != http.StatusOK {
				b.Errorf("complete: %d %s %v", status, reply, err)
			}
			got <- time.Time{}
		}()
		<-time.After(20 * time.Millisecond) // so that it waits
		start := time.Now()
		if status, reply, err := maker.do("POST", "/api/tickets", f.admin, "", ticketBody); err != nil || status != http.StatusCreated {
			b.Fatalf("create: %d %s %v", status, reply, err)
		}
		took = append(took, (<-got).Sub(start))
		<-got
	}
	report(b, took, float64(len(took))/b.Elapsed().Seconds())
}

// BenchmarkReadyUnderLoad is the ready query on 20,000 tickets while 20 agents
// write.
func BenchmarkReadyUnderLoad(b *testing.B) {
	const tickets, agents = 20_000, 20
	f := newFleet(b, agents, 100)
	f.plan(tickets)
	stop := make(chan struct{})
	var writers sync.WaitGroup
	var writes atomic.Int64
	for n := range agents {
		w, err := dial(f.addr)
		if err != nil {
			b.Fatal(err)
		}
		writers.Go(func() {
			defer w.conn.Close()
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				status, reply, err := w.do("POST", "/api/comments", f.tokens[n], "", fmt.Sprintf(`{"ticket_id":%d,"text":"Comment"}`, 1+(n*1000+i)%tickets))
				if err != nil || status != http.StatusCreated {
					b.Errorf("comment: %d %s %v", status, reply, err)
					return
				}
				writes.Add(1)
			}
		})
	}
	reader, err := dial(f.addr)
	if err != nil {
		b.Fatal(err)
	}
	defer reader.conn.Close()
	var took []time.Duration
	begun, before := time.Now(), writes.Load()
	for b.Loop() {
		start := time.Now()
		status, _, err := reader.do("GET", "/api/boards/FLT/ready", f.admin, "", "")
		took = append(took, time.Since(start))
		if err != nil || status != http.StatusOK {
			b.Fatalf("ready: %d %v", status, err)
		}
	}
	report(b, took, float64(len(took))/b.Elapsed().Seconds())
	b.ReportMetric(float64(writes.Load()-before)/time.Since(begun).Seconds(), "writes/s")
	close(stop)
	writers.Wait()
}
