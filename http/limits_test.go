package http

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fixedLimit allows each key so many requests, and never one more.
type fixedLimit struct {
	limit int

	mu    sync.Mutex
	taken map[string]int
}

func (l *fixedLimit) Take(_ context.Context, key string) Quota {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := Quota{Limit: l.limit, Window: time.Minute, Reset: time.Minute}
	if l.taken[key] >= l.limit {
		q.Retry = 1500 * time.Millisecond
		return q
	}
	l.taken[key]++
	q.Allowed, q.Remaining = true, l.limit-l.taken[key]
	return q
}

func (l *fixedLimit) of(key string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.taken[key]
}

// limitedApp is an app whose principals have limit requests each, board and
// people already made. scopes returns what Observer.Limited was told.
func limitedApp(t *testing.T, limit int) (a *app, l *fixedLimit, scopes func() []string) {
	t.Helper()
	l = &fixedLimit{limit: 1 << 30, taken: map[string]int{}}
	var mu sync.Mutex
	var told []string
	a = newApp(t, func(c *Config, _ *Deps) {
		c.Requests = l
		c.Observer.Limited = func(scope string) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, scope)
		}
	})
	a.board("bob")
	a.agent("bot")
	l.mu.Lock()
	l.limit, l.taken = limit, map[string]int{}
	l.mu.Unlock()
	return a, l, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(told)
	}
}

func TestRequestsAreLimited(t *testing.T) {
	t.Parallel()
	a, l, scopes := limitedApp(t, 3)
	ann, bob, bot := a.user("ann", false), a.user("bob", false), a.agent("bot")
	read := func(token string) reply { return a.do("GET", "/api/boards/WEB", token, "") }

	for i := range 3 {
		r := read(ann).want(200)
		if got, want := r.header.Get("RateLimit"), fmt.Sprintf(`"requests";r=%d;t=60`, 2-i); got != want {
			t.Errorf("RateLimit is %q, want %q", got, want)
		}
		if got := r.header.Get("RateLimit-Policy"); got != `"requests";q=3;w=60` {
			t.Errorf("RateLimit-Policy is %q", got)
		}
	}
	r := read(ann).want(429)
	if r.header.Get("Retry-After") != "2" || r.header.Get("Content-Type") != problemJSON || r.header.Get("RateLimit") != `"requests";r=0;t=60` ||
		!strings.Contains(r.body, `"code":"rate_limited"`) || !strings.Contains(r.body, "3 a minute") || !strings.Contains(r.body, "Try again in 2s") {
		t.Errorf("the refusal is %v %s", r.header, r.body)
	}
	// A limit of a principal is nobody else's, and every way in is one of them.
	read(bob).want(200)
	a.do("POST", "/api/boards", ann, `{"name":"More"}`).want(429)
	a.do("GET", "/api/events", ann, "", "Accept: text/event-stream").want(429)
	if _, resp, err := a.dial("", "Authorization: Bearer "+ann); err == nil || resp.StatusCode != 429 {
		t.Errorf("a socket of a limited principal: %v, %v", resp, err)
	}

	// Agents read within the limit; their commands have a budget of their own.
	for range 3 {
		read(bot).want(200)
	}
	read(bot).want(429)
	a.do("POST", "/api/boards/WEB/claim-next", bot, "").want(200)
	a.do("POST", "/api/auth/ws-ticket", bot, "").want(429)

	// Without good credentials the address counts, and those who have good ones
	// there do not feel it.
	a.do("GET", "/api/boards", "akb_guessed", "").want(401)
	a.do("GET", "/api/boards", "", "").want(401)
	a.do("POST", "/api/auth/login", "", `{"username":"ann","password":"wrong"}`).want(401)
	for _, path := range []string{"/api/boards", "/nowhere"} {
		r = a.do("GET", path, "akb_guessed_again", "").want(429)
		if !strings.Contains(r.body, "from your address") || r.header.Get("Retry-After") == "" {
			t.Errorf("the refusal is %s", r.body)
		}
	}
	a.do("POST", "/api/auth/login", "", `{"username":"ann","password":"wrong"}`).want(429)
	a.do("POST", "/api/auth/register", "", `{"username":"zoe","password":"a long password"}`).want(429)
	read(bob).want(200)
	if got := l.of("address:127.0.0.1"); got != 3 {
		t.Errorf("the address counted %d, want 3", got)
	}

	// Probes and pages never.
	for _, path := range []string{"/health", "/health/live", "/health/ready", "/api/health", "/api/status", "/", "/docs", "/openapi.json", "/ws/stats", "/docs/docs.css"} {
		if r := a.do("GET", path, "", "").want(200); r.header.Get("RateLimit") != "" {
			t.Errorf("%s is limited", path)
		}
	}
	got := scopes()
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(got, []string{ScopeAddress, ScopeRequests}) {
		t.Errorf("the limits that refused are %v", got)
	}
}

func TestFramesAreLimited(t *testing.T) {
	t.Parallel()
	a, _, scopes := limitedApp(t, 3)
	s := a.connect("ann") // the first
	for range 2 {
		s.send(`{"type":"ping"}`)
		s.want("pong")
	}
	s.send(`{"type":"subscribe_board","board_id":1}`)
	if f := s.want("error"); !strings.Contains(string(f.Data), `"rate_limited"`) || !strings.Contains(string(f.Data), `"retry_after":2`) {
		t.Errorf("the refusal is %s", f.Data)
	}
	if got := scopes(); !slices.Equal(got, []string{ScopeFrames}) {
		t.Errorf("the limits that refused are %v", got)
	}
}

// TestAddressesOfOneNetwork: one IPv6 subscriber has 2^64 addresses, which are one.
func TestAddressesOfOneNetwork(t *testing.T) {
	t.Parallel()
	l := &fixedLimit{limit: 3, taken: map[string]int{}}
	a := newApp(t, func(c *Config, _ *Deps) { c.Requests, c.TrustedProxies = l, []string{"127.0.0.1"} })
	for i := range 5 {
		status := 401
		if i >= 3 {
			status = 429
		}
		a.do("GET", "/api/boards", "bad", "", fmt.Sprintf("X-Forwarded-For: 2001:db8::%d", i+1)).want(status)
	}
	a.do("GET", "/api/boards", "bad", "", "X-Forwarded-For: 2001:db8:0:1::1").want(401)
}

func TestLimitsOfAccountsAreTold(t *testing.T) {
	t.Parallel()
	a, _, scopes := limitedApp(t, 1000)
	for range 6 {
		a.do("POST", "/api/auth/register", "", `{"username":"zoe","password":"short"}`)
	}
	a.do("POST", "/api/auth/register", "", `{"username":"zoe","password":"a long password"}`).want(429)
	for range 10 {
		a.do("POST", "/api/auth/login", "", `{"username":"ann","password":"wrong"}`)
	}
	a.do("POST", "/api/auth/login", "", `{"username":"ann","password":"wrong"}`).want(429)
	got := slices.Compact(scopes())
	if !slices.Equal(got, []string{ScopeRegistration, ScopeLogin}) {
		t.Errorf("the limits that refused are %v", got)
	}
}
