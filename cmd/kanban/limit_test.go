package main

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/agent-kanban/agent-kanban/events"
)

// TestLimitHoldsForManyClients lets 64 clients move tickets of one board into a
// column that takes three, through the whole program, and walks the log: the
// column never held a fourth.
func TestLimitHoldsForManyClients(t *testing.T) {
	t.Parallel()
	c := newChild(t, t.TempDir())
	c.start()
	token := c.setup()
	c.post("/api/boards", token, map[string]any{"name": "Limits", "key": "LIM", "columns": []any{
		"To do", map[string]any{"name": "Doing", "wip_limit": 3}, "Done",
	}})
	const clients, rounds = 64, 6
	for range clients {
		c.post("/api/tickets", token, map[string]any{"board_id": 1, "title": "T"})
	}
	var moved, refused atomic.Int64
	var wg sync.WaitGroup
	for n := range clients {
		wg.Go(func() {
			w, err := dial(c.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer w.conn.Close()
			move := func(column string) int {
				status, reply, err := w.do("POST", fmt.Sprintf("/api/tickets/%d/move", n+1), token, "", fmt.Sprintf(`{"column":%q}`, column))
				if err != nil || status != http.StatusOK && status != http.StatusConflict {
					t.Errorf("move: %d %s %v", status, reply, err)
				}
				return status
			}
			for range rounds {
				if move("Doing") == http.StatusConflict {
					refused.Add(1)
					continue
				}
				moved.Add(1)
				move("To do")
			}
		})
	}
	wg.Wait()
	if err := c.stop(); err != nil {
		t.Errorf("stop: %v\n%s", err, c.out)
	}
	inside := map[int64]bool{}
	for _, e := range logOf(t, c.dir) {
		p, err := e.Payload()
		if err != nil {
			t.Fatal(err)
		}
		if f, ok := p.(events.TicketMoved); ok {
			if f.Column == "Doing" {
				inside[e.TicketID] = true
			} else {
				delete(inside, e.TicketID)
			}
		}
		if len(inside) > 3 {
			t.Fatalf("position %d: %d tickets in a column limited to 3", e.Position, len(inside))
		}
	}
	if moved.Load() == 0 || refused.Load() == 0 {
		t.Errorf("%d moved and %d refused: the limit was never under pressure", moved.Load(), refused.Load())
	}
}
