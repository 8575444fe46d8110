package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
)

// load sends b.N requests from so many clients and reports the rate and the
// latencies. request returns method, path, extra headers and body of the i-th.
func load(b *testing.B, addr, token string, clients int, want int, request func(i int64) (method, path, extra, body string)) {
	b.Helper()
	wires := dialAll(b, addr, clients)
	b.ResetTimer()
	start := time.Now()
	took := send(b, wires, token, b.N, want, request)
	report(b, took, float64(b.N)/time.Since(start).Seconds())
}

func dialAll(b *testing.B, addr string, clients int) []*wire {
	b.Helper()
	wires := make([]*wire, clients)
	for c := range wires {
		w, err := dial(addr)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { w.conn.Close() })
		wires[c] = w
	}
	return wires
}

// send sends so many requests and returns how long each took.
func send(b *testing.B, wires []*wire, token string, count, want int, request func(i int64) (method, path, extra, body string)) []time.Duration {
	b.Helper()
	var next, failed atomic.Int64
	took := make([][]time.Duration, len(wires))
	var wg sync.WaitGroup
	for c, w := range wires {
		took[c] = make([]time.Duration, 0, count/len(wires)+16)
		wg.Go(func() {
			for {
				i := next.Add(1) - 1
				if i >= int64(count) {
					return
				}
				method, path, extra, body := request(i)
				start := time.Now()
				status, reply, err := w.do(method, path, token, extra, body)
				took[c] = append(took[c], time.Since(start))
				if err != nil || status != want {
					if failed.Add(1) == 1 {
						b.Errorf("%s %s: %d %v %s", method, path, status, err, reply)
					}
					return
				}
			}
		})
	}
	wg.Wait()
	return slices.Concat(took...)
}

func report(b *testing.B, all []time.Duration, rate float64) {
	b.StopTimer()
	slices.Sort(all)
	at := func(q float64) float64 {
		if len(all) == 0 {
			return 0
		}
		return float64(all[min(int(q*float64(len(all))), len(all)-1)].Microseconds()) / 1000
	}
	b.ReportMetric(rate, "req/s")
	b.ReportMetric(at(0.50), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
}

// echo is the baseline: Gin, a JWT check and the body sent back, no more.
func echo(b *testing.B) (addr, token string) {
	b.Helper()
	gin.SetMode(gin.ReleaseMode)
	key := []byte("0123456789abcdef0123456789abcdef")
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "1", "exp": time.Now().Add(time.Hour).Unix()}).SignedString(key)
	if err != nil {
		b.Fatal(err)
	}
	e := gin.New()
	e.POST("/echo", func(c *gin.Context) {
		_, err := jwt.Parse(strings.TrimPrefix(c.GetHeader("Authorization"), "Bearer "),
			func(*jwt.Token) (any, error) { return key, nil }, jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired())
		if err != nil {
			c.Status(http.StatusUnauthorized)
			return
		}
		body, _ := c.GetRawData()
		c.Data(http.StatusOK, "application/json", body)
	})
	srv := httptest.NewServer(e)
	b.Cleanup(srv.Close)
	return srv.Listener.Addr().String(), token
}

const ticketBody = `{"board_id":1,"title":"A ticket of usual length","description":"What is to be done, in a sentence or two.","priority":"high","labels":["ui","api"]}`

// BenchmarkEcho is what the same clients reach without any work behind it.
func BenchmarkEcho(b *testing.B) {
	addr, token := echo(b)
	for _, clients := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			load(b, addr, token, clients, 200, func(int64) (string, string, string, string) { return "POST", "/echo", "", ticketBody })
		})
	}
}

// BenchmarkCreateTicket is durable, projected and read-your-writes: each reply
// comes when the read model holds the ticket. Memory is that of the process.
func BenchmarkCreateTicket(b *testing.B) {
	for _, clients := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			c, token := benchServer(b, 20)
			idle := c.rss()
			load(b, c.addr, token, clients, 201, func(i int64) (string, string, string, string) {
				return "POST", "/api/tickets", "", strings.Replace(ticketBody, `"board_id":1`, fmt.Sprintf(`"board_id":%d`, i%20+1), 1)
			})
			b.ReportMetric(float64(idle>>20), "idle-MB")
			b.ReportMetric(float64(c.rss()>>20), "after-MB")
		})
	}
}

// BenchmarkMoveTicket moves tickets of one board to and fro.
func BenchmarkMoveTicket(b *testing.B) {
	c, token := benchServer(b, 1)
	for range 500 {
		c.post("/api/tickets", token, json.RawMessage(ticketBody))
	}
	b.Run("clients=16", func(b *testing.B) {
		load(b, c.addr, token, 16, 200, func(i int64) (string, string, string, string) {
			columns := []string{"In Progress", "Done", "Blocked", "Not Started"}
			return "POST", fmt.Sprintf("/api/tickets/%d/move", i%500+1), "", fmt.Sprintf(`{"column":%q}`, columns[i/500%4])
		})
	})
}

// benchServer is a fresh server with so many boards.
func benchServer(b *testing.B, boards int) (*child, string) {
	b.Helper()
	c := newChild(b, b.TempDir())
	c.start()
	token := c.setup()
	for i := range boards {
		c.post("/api/boards", token, map[string]any{"name": fmt.Sprintf("Board %d", i+1)})
	}
	return c, token
}

// listeners opens WebSockets that are subscribed to board 1 and calls got for
// every message.
func listeners(b *testing.B, c *child, token string, n int, got func(message []byte)) {
	b.Helper()
	var wg sync.WaitGroup
	var socks []*websocket.Conn
	for range n {
		ws, _, err := websocket.DefaultDialer.Dial("ws://"+c.addr+"/ws/connect", http.Header{"Authorization": {"Bearer " + token}})
		if err != nil {
			b.Fatal(err)
		}
		socks = append(socks, ws)
		if err := ws.WriteJSON(map[string]any{"type": "subscribe_board", "board_id": 1}); err != nil {
			b.Fatal(err)
		}
		for {
			_, msg, err := ws.ReadMessage()
			if err != nil {
				b.Fatal(err)
			}
			if strings.Contains(string(msg), `"event":"subscribed"`) {
				break
			}
		}
		wg.Go(func() {
			for {
				_, msg, err := ws.ReadMessage()
				if err != nil {
					return
				}
				got(msg)
			}
		})
	}
	b.Cleanup(func() {
		for _, ws := range socks {
			ws.Close()
		}
		wg.Wait()
	})
}

// BenchmarkCommandToFrame is the time from sending a command to a subscriber
// holding its frame, over all subscribers, at 20 commands a second.
func BenchmarkCommandToFrame(b *testing.B) {
	for _, n := range []int{1, 200} {
		b.Run(fmt.Sprintf("subscribers=%d", n), func(b *testing.B) {
			c, token := benchServer(b, 1)
			arrived := make(chan time.Time, 4096)
			listeners(b, c, token, n, func(msg []byte) {
				if strings.Contains(string(msg), "ticket_created") {
					arrived <- time.Now()
				}
			})
			w, err := dial(c.addr)
			if err != nil {
				b.Fatal(err)
			}
			var took []time.Duration
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			b.ResetTimer()
			for range max(b.N, 40) {
				<-tick.C
				start := time.Now()
				if status, reply, err := w.do("POST", "/api/tickets", token, "", ticketBody); err != nil || status != http.StatusCreated {
					b.Fatalf("%d %s %v", status, reply, err)
				}
				for range n {
					took = append(took, (<-arrived).Sub(start))
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}

// BenchmarkFeed runs flat out: notices delivered per second to 200 subscribers,
// while 16 clients move tickets without waiting. Its unit is a round of moves
// whose notices have all arrived: fewer say nothing about a stream of them.
func BenchmarkFeed(b *testing.B) {
	c, token := benchServer(b, 1)
	for range 200 {
		c.post("/api/tickets", token, json.RawMessage(ticketBody))
	}
	const subscribers, moves = 200, 5000
	const round = subscribers * moves
	var notices atomic.Int64
	arrived := make(chan struct{}, 1)
	listeners(b, c, token, subscribers, func(msg []byte) {
		n := int64(strings.Count(string(msg), `"event":"ticket_moved"`))
		if now := notices.Add(n); now/round > (now-n)/round { // true once a round
			arrived <- struct{}{}
		}
	})
	wires := dialAll(b, c.addr, 16)
	var took []time.Duration
	var sending, elapsed time.Duration
	for b.Loop() {
		start, done := time.Now(), int64(len(took))
		took = append(took, send(b, wires, token, moves, 200, func(i int64) (string, string, string, string) {
			i += done
			columns := []string{"In Progress", "Done", "Blocked", "Not Started"}
			return "POST", fmt.Sprintf("/api/tickets/%d/move", i%200+1), "Prefer: return=minimal\r\n", fmt.Sprintf(`{"column":%q}`, columns[i/200%4])
		})...)
		sending += time.Since(start)
		select {
		case <-arrived:
		case <-time.After(2 * time.Minute):
			b.Fatalf("%d of %d notices arrived", notices.Load(), len(took)*subscribers)
		}
		elapsed += time.Since(start)
	}
	report(b, took, float64(len(took))/sending.Seconds())
	b.ReportMetric(float64(sending.Nanoseconds())/float64(len(took)), "ns/op")
	b.ReportMetric(float64(notices.Load())/elapsed.Seconds(), "notices/s")
}

// BenchmarkMillion measures a server on a log of 10,000 and of 1,000,000 events:
// time until it answers, idle memory, and the cost of a command and of reading a
// board of the same size.
func BenchmarkMillion(b *testing.B) {
	for _, size := range []int64{10_000, 1_000_000} {
		b.Run(fmt.Sprintf("events=%d", size), func(b *testing.B) {
			c, token := benchServer(b, 1)
			if err := c.stop(); err != nil {
				b.Fatal(err)
			}
			fill(b, filepath.Join(c.dir, "agent_kanban.db"), size)
			begun := time.Now()
			if out, err := c.run("rebuild"); err != nil {
				b.Fatalf("rebuild: %v\n%s", err, out)
			}
			rebuilt := time.Since(begun)
			c.start() // fills the new stream; the next start is the usual one
			b.Run("start", func(b *testing.B) {
				var took time.Duration
				for b.Loop() {
					if err := c.stop(); err != nil {
						b.Fatal(err)
					}
					begun := time.Now()
					c.start()
					took += time.Since(begun)
				}
				b.ReportMetric(took.Seconds()/float64(b.N), "ready-s")
				b.ReportMetric(float64(c.rss()>>20), "idle-MB")
				b.ReportMetric(float64(size)/rebuilt.Seconds(), "rebuild-events/s")
			})
			b.Run("command", func(b *testing.B) {
				load(b, c.addr, token, 1, 201, func(int64) (string, string, string, string) {
					return "POST", "/api/tickets", "", strings.Replace(ticketBody, `"board_id":1`, `"board_id":2`, 1)
				})
			})
			b.Run("board", func(b *testing.B) {
				load(b, c.addr, token, 1, 200, func(i int64) (string, string, string, string) {
					return "GET", "/api/boards/3/tickets?limit=50", "", ""
				})
			})
		})
	}
}

// fill appends events up to the given position: boards of 100 tickets, each
// moved nine times.
func fill(b testing.TB, path string, size int64) {
	b.Helper()
	db, err := sqlstore.Open(b.Context(), sqlstore.Options{Path: path, Synchronous: "NORMAL"})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	head, err := db.Head(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	ada := events.Actor{Kind: events.Human, ID: 1, Name: "ada"}
	columns := []events.Column{{ID: 1, Name: "To do", Kind: events.Backlog}, {ID: 2, Name: "Doing", Kind: events.Active}, {ID: 3, Name: "Done", Kind: events.Done}}
	now := time.Now().UTC()
	board, ticket, version := int64(1), int64(0), int64(0)
	var batch []events.Envelope
	add := func(ticketID int64, fact events.Event) {
		version++
		e, err := events.Seal(head, events.Envelope{
			Stream: events.BoardStream(board), Version: version, ID: fmt.Sprintf("0199%08x-0000-7000-8000-%012x", head.Position, head.Position),
			RecordedAt: now, Actor: ada, CommandID: fmt.Sprintf("fill-%d", head.Position), BoardID: board, TicketID: ticketID,
		}, fact)
		if err != nil {
			b.Fatal(err)
		}
		head = e.Head()
		batch = append(batch, e)
	}
	for head.Position < size {
		board, version = board+1, 0
		add(0, events.BoardCreated{Key: fmt.Sprintf("F%d", board), Name: fmt.Sprintf("Filled %d", board), Visibility: events.Private, Columns: columns, MaxClaims: 1})
		add(0, events.MemberAdded{UserID: 1, Name: "ada", Role: events.PM})
		first := ticket + 1
		for n := range int64(100) {
			ticket++
			add(ticket, events.TicketCreated{
				Number: n + 1, Key: fmt.Sprintf("F%d-%d", board, n+1), Title: "A ticket of usual length", Description: "What is to be done, in a sentence or two.",
				Priority: events.Medium, Labels: []string{"ui"}, ColumnID: 1, Column: "To do", Rank: fmt.Sprintf("b%02d", n),
			})
		}
		for move := range int64(900) {
			from := move / 100 % 3
			to := (from + 1) % 3
			add(first+move%100, events.TicketMoved{
				FromColumnID: from + 1, FromColumn: columns[from].Name, ColumnID: to + 1, Column: columns[to].Name, Rank: fmt.Sprintf("b%02d", move%100),
			})
		}
		tx, err := db.Begin(b.Context())
		if err == nil {
			if err = tx.Append(b.Context(), batch); err == nil {
				err = tx.Commit()
			}
		}
		if err != nil {
			b.Fatal(err)
		}
		batch = batch[:0]
	}
}
