package http

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

const scrapeToken = "a-token-for-metrics-alone"

func withMetrics(cfg *Config, _ *Deps) {
	cfg.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "kanban_up 1\n") })
	cfg.MetricsToken = scrapeToken
}

// Metrics tell much about a server: who may have them, and what each refusal is.
func TestMetricsAccess(t *testing.T) {
	t.Parallel()
	a := newApp(t, withMetrics)
	admin, bob := a.user("root", true), a.user("bob", false)
	const proxied = "X-Forwarded-For: 127.0.0.1"
	for _, row := range []struct {
		name, token string
		headers     []string
		want        int
	}{
		{"this machine", "", nil, 200},
		{"this machine behind a proxy", "", []string{proxied}, 401},
		{"behind a proxy that says Via", "", []string{"Via: 1.1 proxy"}, 401},
		{"an admin", admin, []string{proxied}, 200},
		{"a user", bob, []string{proxied}, 403},
		{"a user on this machine", bob, nil, 403},
		{"the token", scrapeToken, []string{proxied}, 200},
		{"a longer token", scrapeToken + "x", []string{proxied}, 401},
		{"a shorter token", scrapeToken[1:], []string{proxied}, 401},
		{"another scheme", "", []string{proxied, "Authorization: Basic " + scrapeToken}, 401},
	} {
		r := a.do("GET", "/metrics", row.token, "", row.headers...)
		if r.status != row.want || (row.want == 200) != strings.Contains(r.body, "kanban_up") {
			t.Errorf("%s: %d %s, want %d", row.name, r.status, r.body, row.want)
		}
		if row.want == 401 && r.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: 401 lacks WWW-Authenticate", row.name)
		}
	}
	a.do("POST", "/metrics", scrapeToken, "{}").want(405)
	a.do("GET", "/metrics?token="+scrapeToken, "", "", proxied).want(401) // never in an address
	for _, path := range []string{"/ws/stats", "/api/boards", "/api/auth/me", "/api/events", "/api/agents"} {
		a.do("GET", path, scrapeToken, "", proxied).want(401)
	}
	if strings.Contains(a.logs.String(), scrapeToken) {
		t.Error("the log has the token")
	}
}

// Without a token in the configuration, none is good; without metrics there is
// no route.
func TestMetricsOff(t *testing.T) {
	t.Parallel()
	a := newApp(t, withMetrics, func(cfg *Config, _ *Deps) { cfg.MetricsToken = "" })
	a.do("GET", "/metrics", "", "", "X-Forwarded-For: 10.0.0.1", "Authorization: Bearer ").want(401)
	newApp(t).do("GET", "/metrics", "", "").want(404)
}

// seen are the calls of an Observer.
type seen struct {
	mu    sync.Mutex
	lines []string
	more  chan struct{}
}

func (s *seen) add(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// await returns once a line is there.
func (s *seen) await(t *testing.T, want string) {
	t.Helper()
	for {
		s.mu.Lock()
		text := strings.Join(s.lines, "\n")
		s.mu.Unlock()
		if strings.Contains(text, want) {
			return
		}
		select {
		case <-s.more:
		case <-time.After(10 * time.Second):
			t.Fatalf("no %q in:\n%s", want, text)
		}
	}
}

// The Observer hears patterns and never paths, what stays open on purpose is not
// timed, and a limit has its name.
func TestObserver(t *testing.T) {
	t.Parallel()
	s := &seen{more: make(chan struct{}, 1)}
	a := newApp(t, func(cfg *Config, _ *Deps) {
		cfg.Observer = Observer{
			Begin: func(r *http.Request, route, id string) (context.Context, func(int)) {
				s.add("begin %s %s", route, id)
				return r.Context(), func(status int) { s.add("end %s %d", route, status) }
			},
			Done: func(r *Request) {
				if r.Took < 0 {
					t.Errorf("%s took %s", r.Route, r.Took)
				}
				s.add("done %s %q %d timed=%v", r.Method, r.Route, r.Status, r.Timed)
			},
			Limited: func(scope string) { s.add("limited %s", scope) },
		}
	})
	id := a.board()
	ticket := a.ticket(a.users["ann"], id, "One")
	a.do("GET", "/api/tickets/"+ticket.Key, a.users["ann"], "", "X-Request-Id: mine").want(200)
	s.await(t, "begin /api/tickets/:id mine")
	s.await(t, "end /api/tickets/:id 200")
	s.await(t, `done GET "/api/tickets/:id" 200 timed=true`)
	a.do("GET", "/nowhere/at/all", "", "").want(404)
	s.await(t, `done GET "" 404 timed=true`)
	a.do("POST", "/api/boards/WEB/claim-next", a.users["ann"], `{"column":"Done","wait_seconds":1}`).want(200)
	s.await(t, `done POST "/api/boards/:id/claim-next" 200 timed=false`)

	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", a.url+"/api/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", streamType)
	req.Header.Set("Authorization", "Bearer "+a.users["ann"])
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	resp.Body.Close()
	s.await(t, `done GET "/api/events" 200 timed=false`)

	for range 20 {
		a.do("POST", "/api/auth/login", "", `{"username":"nobody","password":"`+strings.Repeat("x", 12)+`"}`)
	}
	s.await(t, "limited login")
}
