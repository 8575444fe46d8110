package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/client"
)

// flaky serves a log over SSE and breaks every connection after a few events,
// in the middle of one: the way of a server that is killed.
type flaky struct {
	log []events.Envelope

	mu       sync.Mutex
	logID    string
	after    []int64
	breakAt  int
	statuses []int // answers before the next streams
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Accept") != "text/event-stream" {
		f.mu.Lock()
		log, id := f.log, f.logID
		f.mu.Unlock()
		if r.URL.Path == "/api/log/head" && id != "" {
			reply(w, 200, fmt.Sprintf(`{"log_id":%q,"position":%d,"hash":%q}`, id, len(log), events.Hash{}))
			return
		}
		serveLog(w, r, log, func(*events.Envelope) bool { return true })
		return
	}
	f.mu.Lock()
	if len(f.statuses) > 0 {
		status := f.statuses[0]
		f.statuses = f.statuses[1:]
		f.mu.Unlock()
		reply(w, status, `{"code":"unavailable"}`)
		return
	}
	after, _ := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64)
	f.after = append(f.after, after)
	log, stop := f.log, f.breakAt
	f.mu.Unlock()
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, ": log x\n\n")
	// One event is sent again on purpose: a client that trusts only itself drops it.
	for i := max(0, int(after)-1); i < len(log); i++ {
		if stop > 0 && i >= int(after)+stop {
			_, _ = fmt.Fprintf(w, "id: %d\nevent: comment_added\ndata: {\"specver", log[i].Position)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		_, _ = fmt.Fprintf(w, "id: %d\nevent: %s\ndata: %s\n\n", log[i].Position, log[i].Type, log[i].JSON())
	}
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

func TestFollowNeitherLosesNorRepeats(t *testing.T) {
	t.Parallel()
	f := &flaky{log: sealed(t, 50, time.Now(), nil, nil), breakAt: 7, statuses: []int{503, 502}}
	c := setup(t, client.Config{}, f.ServeHTTP)
	interruptions := 0
	next := int64(1)
	for e, err := range c.Follow(t.Context(), client.EventQuery{}, func(client.Interruption) { interruptions++ }) {
		if err != nil {
			t.Fatalf("Follow: %v", err)
		}
		if e.Position != next {
			t.Fatalf("got position %d, want %d", e.Position, next)
		}
		if next++; next > 50 {
			break
		}
	}
	if interruptions != 9 { // 2 refusals, 7 broken streams of 7 events each
		t.Errorf("heard of %d interruptions, want 9", interruptions)
	}
	if f.after[1] != 7 {
		t.Errorf("the second stream resumed after %d, want 7", f.after[1])
	}
}

func TestFollowEndsWithItsContext(t *testing.T) {
	t.Parallel()
	f := &flaky{log: sealed(t, 3, time.Now(), nil, nil)}
	c := setup(t, client.Config{}, f.ServeHTTP)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := 0
	for e, err := range c.Follow(ctx, client.EventQuery{After: 1}, nil) {
		if err != nil {
			t.Fatalf("Follow: %v", err)
		}
		if seen++; e.Position == 3 {
			cancel()
		}
	}
	if seen != 2 {
		t.Errorf("saw %d events, want 2", seen)
	}
}

// A refusal that will not change ends it.
func TestFollowRefused(t *testing.T) {
	t.Parallel()
	c := setup(t, client.Config{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/log/head" {
			reply(w, 200, `{"log_id":"x","position":0,"hash":"`+events.Hash{}.String()+`"}`)
			return
		}
		reply(w, 404, `{"code":"not_found","detail":"no such board"}`)
	})
	for _, err := range c.Follow(t.Context(), client.EventQuery{Board: "NOPE"}, nil) {
		if events.CodeOf(err) != events.CodeNotFound {
			t.Errorf("got %v, want not_found", err)
		}
		return
	}
	t.Error("Follow ended without an error")
}

// Another log, an older state of the log, another history behind the same
// positions: none of them continues what was read.
func TestFollowNoticesAnotherLog(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(f *flaky){
		"another id":      func(f *flaky) { f.logID = "other" },
		"older":           func(f *flaky) { f.log = f.log[:3] },
		"another history": func(f *flaky) { f.log = sealed(t, 20, time.Now().Add(time.Hour), nil, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &flaky{log: sealed(t, 20, time.Now(), nil, nil), breakAt: 5}
			c := setup(t, client.Config{}, f.ServeHTTP)
			seen := 0
			for _, err := range c.Follow(t.Context(), client.EventQuery{}, func(client.Interruption) {
				f.mu.Lock()
				defer f.mu.Unlock()
				change(f)
			}) {
				if err != nil {
					if !errors.Is(err, client.ErrOtherLog) {
						t.Errorf("got %v, want ErrOtherLog", err)
					}
					if seen != 5 {
						t.Errorf("saw %d events before, want 5", seen)
					}
					return
				}
				seen++
			}
			t.Error("Follow ended without an error")
		})
	}
}
