package http

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

// raw is a client that costs next to nothing, so that the figures are the
// server's.
type raw struct {
	conn net.Conn
	in   *bufio.Reader
	buf  bytes.Buffer
}

func dialRaw(b *testing.B, url string) *raw {
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return &raw{conn: conn, in: bufio.NewReader(conn)}
}

func (r *raw) do(method, path, token, body string) (status int, err error) {
	r.buf.Reset()
	fmt.Fprintf(&r.buf, "%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		method, path, token, len(body), body)
	if _, err = r.conn.Write(r.buf.Bytes()); err != nil {
		return 0, err
	}
	length := 0
	for line := ""; line != "\r\n"; {
		if line, err = r.in.ReadString('\n'); err != nil {
			return 0, err
		}
		if rest, ok := strings.CutPrefix(line, "HTTP/1.1 "); ok {
			status, _ = strconv.Atoi(rest[:3])
		} else if rest, ok := strings.CutPrefix(line, "Content-Length: "); ok {
			length, _ = strconv.Atoi(strings.TrimSpace(rest))
		}
	}
	_, err = io.CopyN(io.Discard, r.in, int64(length))
	return status, err
}

func report(b *testing.B, took []time.Duration, n int) {
	slices.Sort(took)
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "req/s")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(0, "ns/op")
}

// load sends b.N requests from clients at once.
func load(b *testing.B, a *app, clients int, request func(client, i int) (method, path, body string)) {
	token := a.user("ann", false)
	var next atomic.Int64
	var wg sync.WaitGroup
	took := make([][]time.Duration, clients)
	conns := make([]*raw, clients)
	for i := range conns {
		conns[i] = dialRaw(b, a.url)
	}
	b.ResetTimer()
	for c := range clients {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				method, path, body := request(c, int(i))
				start := time.Now()
				status, err := conns[c].do(method, path, token, body)
				took[c] = append(took[c], time.Since(start))
				if err != nil || status/100 != 2 {
					b.Errorf("status %d, %v", status, err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	report(b, slices.Concat(took...), b.N)
}

func BenchmarkCreateTicket(b *testing.B) {
	for _, clients := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			a := newApp(b)
			a.board()
			load(b, a, clients, func(_, i int) (string, string, string) {
				return "POST", "/api/tickets", `{"board_id":1,"title":"Ticket ` + strconv.Itoa(i) + `","description":"Some words about it","priority":"high","labels":["a","b"]}`
			})
		})
	}
}

func BenchmarkMoveTicket(b *testing.B) {
	a := newApp(b)
	id := a.board()
	for range 64 {
		a.ticket(a.user("ann", false), id, "T")
	}
	load(b, a, 16, func(c, i int) (string, string, string) {
		return "POST", "/api/tickets/" + strconv.Itoa(c+1) + "/move", `{"column":"` + []string{"Done", "In Progress"}[i%2] + `"}`
	})
}

func BenchmarkSnapshot500(b *testing.B) {
	a := newApp(b)
	a.board()
	for i := range 500 {
		if _, err := a.seq.Do(b.Context(), commands.Meta{Actor: events.SystemActor, Trusted: true},
			commands.CreateTicket{Board: "WEB", Title: "T" + strconv.Itoa(i), Description: strings.Repeat("words ", 40)}); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("over TCP", func(b *testing.B) {
		load(b, a, 2, func(int, int) (string, string, string) { return "GET", "/api/boards/1/snapshot", "" })
	})
	// The handler alone: from ready bytes, and as a share of encoding each time.
	get := func(coding string) time.Duration {
		req := httptest.NewRequest(http.MethodGet, "/api/boards/1/snapshot", nil)
		req.Header.Set("Authorization", "Bearer "+a.users["ann"])
		req.Header.Set("Accept-Encoding", coding)
		w := httptest.NewRecorder()
		w.Body = nil // what is measured is the server, not the recorder
		start := time.Now()
		a.server.Handler().ServeHTTP(w, req)
		if w.Code != http.StatusOK {
			b.Fatalf("status %d", w.Code)
		}
		return time.Since(start)
	}
	for _, coding := range []string{"identity", "gzip", "zstd"} {
		b.Run("handler/"+coding, func(b *testing.B) {
			var ready, encoded time.Duration
			for b.Loop() {
				ready += get(coding)
				a.server.kept.replies.InvalidateAll()
				encoded += get(coding)
			}
			b.ReportMetric(float64(ready.Microseconds())/float64(b.N), "ready-us")
			b.ReportMetric(float64(encoded)/float64(ready), "x_encoding_each_time")
		})
	}
}

// watch connects sockets and hands over each message that they get.
func watch(b *testing.B, a *app, clients int, got func(text []byte)) {
	var wg sync.WaitGroup
	sockets := make([]*socket, clients)
	for i := range sockets {
		s := a.connect("ann")
		sockets[i] = s
		s.send(`{"type":"subscribe_board","board_id":1}`)
		s.want("subscribed")
		s.watchers()
		_ = s.conn.SetReadDeadline(time.Time{})
		wg.Go(func() {
			for {
				_, text, err := s.conn.ReadMessage()
				if err != nil {
					return
				}
				got(text)
			}
		})
	}
	b.Cleanup(func() {
		for _, s := range sockets {
			s.conn.Close()
		}
		wg.Wait()
	})
}

// BenchmarkLive is the time from sending a command to having its frame, at 20
// commands a second.
func BenchmarkLive(b *testing.B) {
	for _, clients := range []int{1, 200} {
		b.Run(fmt.Sprintf("sockets=%d", clients), func(b *testing.B) {
			a := newApp(b)
			a.board()
			arrived := make(chan time.Time, clients)
			watch(b, a, clients, func([]byte) { arrived <- time.Now() })
			conn, token := dialRaw(b, a.url), a.user("ann", false)
			var took, replies []time.Duration
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			b.ResetTimer()
			for range b.N {
				<-tick.C
				start := time.Now()
				if _, err := conn.do("POST", "/api/tickets", token, `{"board_id":1,"title":"T"}`); err != nil {
					b.Fatal(err)
				}
				replies = append(replies, time.Since(start))
				for range clients {
					took = append(took, (<-arrived).Sub(start))
				}
			}
			b.StopTimer()
			slices.Sort(replies)
			b.ReportMetric(float64(replies[len(replies)/2].Microseconds())/1000, "reply-p50-ms")
			report(b, took, b.N)
		})
	}
}

// BenchmarkNotices is how many events reach 200 sockets in a second, flat out.
func BenchmarkNotices(b *testing.B) {
	a := newApp(b)
	a.board()
	var notices atomic.Int64
	want, enough := int64(b.N), make(chan struct{})
	watch(b, a, 200, func(text []byte) {
		n := int64(bytes.Count(text, []byte("\n"))) + 1
		if now := notices.Add(n); now >= want && now-n < want { // true once
			close(enough)
		}
	})
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for ctx.Err() == nil {
				_, _ = a.seq.Do(ctx, commands.Meta{Actor: events.SystemActor, Trusted: true}, commands.CreateTicket{Board: "WEB", Title: "T"})
			}
		})
	}
	b.ResetTimer()
	<-enough
	b.StopTimer()
	b.ReportMetric(float64(notices.Load())/b.Elapsed().Seconds(), "notices/s")
	b.ReportMetric(float64(a.server.feed.Stats().SlowClosed), "slow")
	cancel()
	wg.Wait()
}
