package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/http/client"
)

// gate tells workers when the server is up.
type gate struct {
	mu   sync.Mutex
	open chan struct{}
}

func (g *gate) up()   { g.mu.Lock(); close(g.open); g.mu.Unlock() }
func (g *gate) down() { g.mu.Lock(); g.open = make(chan struct{}); g.mu.Unlock() }
func (g *gate) wait() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open
}

// TestTorture kills the server with SIGKILL at random moments under load, again
// and again, and wants every acknowledged command in the log exactly once, no
// gap, a log that verifies, and a follower that saw every event once.
func TestTorture(t *testing.T) {
	t.Parallel()
	rounds, _ := strconv.Atoi(cmp.Or(os.Getenv("KANBAN_TORTURE_ROUNDS"), "50"))
	if testing.Short() {
		rounds = 5
	}
	seed := uint64(os.Getpid())
	if text := os.Getenv("KANBAN_TORTURE_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("KANBAN_TORTURE_SEED=%d, %d rounds", seed, rounds)
	rnd := rand.New(rand.NewPCG(seed, 0))

	c := newChild(t, t.TempDir())
	c.start()
	token := c.setup()
	c.post("/api/boards", token, map[string]any{"name": "Torture", "key": "TOR"})

	var acked sync.Map // Idempotency-Key to position
	var count, kept atomic.Int64
	reached := make(chan struct{}, 1)
	var target atomic.Int64
	server := &gate{open: make(chan struct{})}
	quit := make(chan struct{})
	var workers sync.WaitGroup
	for n := range 8 {
		rnd := rand.New(rand.NewPCG(seed, uint64(n+1)))
		workers.Go(func() {
			var w *wire
			type ticket struct {
				id     int64
				column int
			}
			var own []*ticket
			columns := []string{"Not Started", "In Progress", "Done"}
			for i := 0; ; i++ {
				select {
				case <-quit:
					return
				default:
				}
				// Each command causes exactly one event.
				key := fmt.Sprintf("worker-%d-%d", n, i)
				path, body := "/api/tickets", fmt.Sprintf(`{"board_id":1,"title":"Ticket %s"}`, key)
				var moved *ticket
				if len(own) > 0 {
					switch one := own[rnd.IntN(len(own))]; rnd.IntN(4) {
					case 0, 1:
						moved = one
						path = fmt.Sprintf("/api/tickets/%d/move", one.id)
						body = fmt.Sprintf(`{"column":%q}`, columns[(one.column+1)%3])
					case 2:
						path, body = "/api/comments", fmt.Sprintf(`{"ticket_id":%d,"text":"Comment %s"}`, one.id, key)
					}
				}
				for { // until it is acknowledged, over as many deaths as it takes
					if w == nil {
						select {
						case <-server.wait():
						case <-quit:
							return
						}
						var err error
						if w, err = dial(c.addr); err != nil {
							w = nil
							continue
						}
					}
					status, reply, err := w.do("POST", path, token, "Idempotency-Key: "+key+"\r\n", body)
					if err != nil {
						w.conn.Close()
						w = nil
						continue
					}
					if status == 503 { // it is stopping, or the read model is behind
						continue
					}
					var created struct{ ID int64 }
					if err := json.Unmarshal(reply, &created); err != nil || status >= 300 || w.position == 0 {
						t.Errorf("%s %s: %d %s", path, body, status, reply)
						return
					}
					acked.Store(key, w.position)
					kept.Add(1)
					switch {
					case path == "/api/tickets":
						own = append(own, &ticket{id: created.ID})
					case moved != nil:
						moved.column = (moved.column + 1) % 3
					}
					if count.Add(1) == target.Load() {
						reached <- struct{}{}
					}
					break
				}
			}
		})
	}

	// The follower resumes by itself, over every restart.
	following, stopFollowing := context.WithCancel(t.Context())
	defer stopFollowing()
	api, err := client.New(client.Config{URL: c.url(), Token: token})
	if err != nil {
		t.Fatal(err)
	}
	var followed atomic.Int64
	var last atomic.Int64
	caughtUp := make(chan struct{})
	var follower sync.WaitGroup
	follower.Go(func() {
		closed := false
		for e, err := range api.Follow(following, client.EventQuery{}, nil) {
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					t.Errorf("follower: %v", err)
				}
				return
			}
			if want := followed.Add(1); e.Position != want {
				t.Errorf("follower got position %d, want %d", e.Position, want)
				return
			}
			if end := last.Load(); end != 0 && e.Position >= end && !closed {
				closed = true
				close(caughtUp)
			}
		}
	})

	for round := range rounds {
		target.Store(count.Load() + int64(1+rnd.IntN(120)))
		server.up()
		<-reached
		c.kill()
		server.down()
		if round%10 == 9 {
			if out, err := c.run("verify"); err != nil {
				t.Fatalf("round %d: verify: %v\n%s", round, err, out)
			}
		}
		c.start()
	}
	close(quit)
	server.up()
	workers.Wait()
	log := logOf(t, c.dir)
	last.Store(int64(len(log)))
	c.post("/api/comments", token, map[string]any{"ticket_id": 1, "text": "the end"})
	<-caughtUp
	stopFollowing()
	follower.Wait()
	if err := c.stop(); err != nil {
		t.Errorf("SIGTERM: %v\n%s", err, c.out)
	}
	if out, err := c.run("verify"); err != nil {
		t.Errorf("verify: %v\n%s", err, out)
	}
	where := map[string]int64{}
	for i := range log {
		e := &log[i]
		if e.Position != int64(i+1) {
			t.Fatalf("position %d at place %d", e.Position, i+1)
		}
		if was, doubled := where[e.CommandID]; doubled && e.TicketID != 0 {
			t.Errorf("command %s is in the log at %d and at %d", e.CommandID, was, e.Position)
		}
		where[e.CommandID] = e.Position
	}
	acked.Range(func(key, position any) bool {
		if got, ok := where[key.(string)]; !ok {
			t.Errorf("acknowledged command %s (position %d) is not in the log", key, position)
		} else if got != position {
			t.Errorf("command %s was acknowledged at %d and is at %d", key, position, got)
		}
		return true
	})
	t.Logf("%d events, %d acknowledged commands, %d kills", len(log), kept.Load(), rounds)
}

// TestKilledRebuildLeavesWholeRows kills kanban rebuild at random moments, the
// swap included: the rows are always either the old ones or the new ones, and
// both are a fold of the log.
func TestKilledRebuildLeavesWholeRows(t *testing.T) {
	t.Parallel()
	c := newChild(t, t.TempDir())
	c.start()
	c.post("/api/boards", c.setup(), map[string]any{"name": "Rebuilt"})
	if err := c.stop(); err != nil {
		t.Fatalf("stop: %v\n%s", err, c.out)
	}
	fill(t, filepath.Join(c.dir, "agent_kanban.db"), 20_000)
	begun := time.Now()
	if out, err := c.run("rebuild"); err != nil {
		t.Fatalf("rebuild: %v\n%s", err, out)
	}
	whole := time.Since(begun)
	killed := 0
	for round := range 8 {
		cmd := c.command("rebuild")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// The moment is part of what is injected; nothing waits for it to be over.
		timer := time.AfterFunc(rand.N(whole), func() { _ = cmd.Process.Kill() })
		if err := cmd.Wait(); err != nil {
			killed++
		}
		timer.Stop()
		for _, db := range []string{"SELECT count(*) FROM tickets", "SELECT position FROM checkpoints"} {
			if got := c.query(db); got == 0 {
				t.Fatalf("round %d: %s is 0: a half model", round, db)
			}
		}
		if out, err := c.run("rebuild"); err != nil {
			t.Fatalf("round %d: rebuild after a kill: %v\n%s", round, err, out)
		}
	}
	if killed == 0 {
		t.Error("no rebuild was killed under way")
	}
	c.start()
	if err := c.stop(); err != nil {
		t.Errorf("stop: %v\n%s", err, c.out)
	}
	out, _ := c.run("verify")
	if strings.Contains(out, "read_model:") {
		t.Errorf("the rows are not a fold of the log:\n%s", out)
	}
}

// TestParkedEventsAreTriedAgainAtTheStart has the read model refuse one ticket:
// its event is parked, others go on, and the next start without the obstacle
// brings it in.
func TestParkedEventsAreTriedAgainAtTheStart(t *testing.T) {
	t.Parallel()
	c := newChild(t, t.TempDir())
	c.start()
	token := c.setup()
	c.post("/api/boards", token, map[string]any{"name": "Parked"})
	stop := func() {
		t.Helper()
		if err := c.stop(); err != nil {
			t.Fatalf("stop: %v\n%s", err, c.out)
		}
	}
	stop()
	c.exec(`CREATE TRIGGER obstacle BEFORE INSERT ON tickets WHEN NEW.title = 'poison' BEGIN SELECT RAISE(ABORT, 'obstacle'); END`)
	c.start()
	c.post("/api/tickets", token, map[string]any{"board_id": 1, "title": "poison"})
	c.post("/api/tickets", token, map[string]any{"board_id": 1, "title": "fine"})
	if tickets, parked := c.query("SELECT count(*) FROM tickets"), c.query("SELECT count(*) FROM parked_events"); tickets != 1 || parked != 1 {
		t.Errorf("%d tickets and %d parked events, want one of each", tickets, parked)
	}
	stop()
	c.exec(`DROP TRIGGER obstacle`)
	c.start()
	if tickets, parked := c.query("SELECT count(*) FROM tickets"), c.query("SELECT count(*) FROM parked_events"); tickets != 2 || parked != 0 {
		t.Errorf("after the next start: %d tickets and %d parked events, want 2 and none", tickets, parked)
	}
	stop()
	if out, err := c.run("verify"); err != nil {
		t.Errorf("verify: %v\n%s", err, out)
	}
}

// logOf reads the whole log of a data directory.
func logOf(t *testing.T, dir string) []events.Envelope {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: filepath.Join(dir, "agent_kanban.db"), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var log []events.Envelope
	for e, err := range events.All(t.Context(), db, events.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		log = append(log, *e)
	}
	return log
}
