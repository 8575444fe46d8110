package http

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// down is an option that lets a test say why commands are not served.
func down(reason *atomic.Pointer[string]) option {
	return func(c *Config, _ *Deps) {
		c.Degraded = func() []string { return []string{"bus"} }
		c.Down = func(context.Context) []string {
			if why := reason.Load(); why != nil {
				return []string{*why}
			}
			return nil
		}
	}
}

// The words that the operators' scripts look for follow the state: "healthy" is
// in no reply of a server that serves no commands.
func TestHealthFollowsCommands(t *testing.T) {
	t.Parallel()
	var reason atomic.Pointer[string]
	a := newApp(t, down(&reason))
	a.run(t, []scenario{
		{name: "serving", method: "GET", url: "/health", status: 200, has: []string{`"status":"healthy"`, `"degraded":["bus"]`}, lacks: []string{"reasons"}},
		{name: "serving", method: "GET", url: "/health/detailed", status: 200, has: []string{`"status":"serving"`, `"reasons":[]`}, lacks: []string{"healthy"}},
	})
	why := "the disk is full: free some space"
	reason.Store(&why)
	a.run(t, []scenario{
		{name: "down", method: "GET", url: "/health", status: 503, has: []string{`"status":"down"`, why, `"degraded":["bus"]`}, lacks: []string{"healthy"}},
		{name: "down", method: "GET", url: "/health/detailed", status: 200, has: []string{`"status":"down"`, why}, lacks: []string{"healthy"}},
		{name: "queries go on", method: "GET", url: "/health/ready", status: 200, has: []string{`"ready"`}, lacks: []string{"healthy"}},
		{name: "alive", method: "GET", url: "/health/live", status: 200, lacks: []string{"healthy"}},
		{name: "status", method: "GET", url: "/api/status", status: 200, lacks: []string{"healthy"}},
	})
	if r := a.do("GET", "/api/health/", "", "").want(503); !strings.Contains(r.body, why) {
		t.Errorf("/api/health/ does not say why: %s", r.body)
	}
	reason.Store(nil)
	a.do("GET", "/health", "", "").want(200)
}

// Who may see how the server is: callers on this machine, and admins; alerts are
// for admins alone. One section that fails takes no other with it.
func TestHealthDetailsAndWhoSeesThem(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	a := newApp(t, func(c *Config, _ *Deps) {
		c.Details = map[string]Section{
			"memory": func(context.Context) any { return map[string]int{"rss_bytes": 42} },
			"disk":   func(context.Context) any { panic("no disk") },
		}
		c.Alerts = func() (active, past []Alert) {
			return []Alert{{Name: "wal", Severity: "warning", Message: "long", Hint: "look", Since: since}}, nil
		}
	})
	a.user("bob", false)
	a.user("root", true)
	forwarded := []string{"X-Forwarded-For: 127.0.0.1"}
	rows := []scenario{
		{name: "one section failed", method: "GET", url: "/health/detailed/", status: 200, has: []string{`"rss_bytes":42`, "could not be looked at", `"active_connections":0`, `"uptime_seconds":`}, lacks: []string{"no disk", "healthy"}},
		{name: "memory", method: "GET", url: "/health/memory", status: 200, has: []string{`"rss_bytes":42`}, lacks: []string{"healthy"}},
		{name: "alerts of a stranger", method: "GET", url: "/api/alerts", status: 401, lacks: []string{"wal"}},
		{name: "alerts of a user", method: "GET", url: "/api/alerts", user: "bob", status: 403, lacks: []string{"wal"}},
		{name: "alerts", method: "GET", url: "/api/alerts", user: "root", status: 200, has: []string{`"name":"wal"`, `"total":1`, `"past":[]`}, lacks: []string{"cleared_at"}},
	}
	for _, path := range []string{"/health/detailed", "/health/memory"} {
		rows = append(
			rows,
			scenario{name: "through a proxy", method: "GET", url: path, headers: forwarded, status: 401, lacks: []string{"rss_bytes"}},
			scenario{name: "a user", method: "GET", url: path, user: "bob", status: 403, lacks: []string{"rss_bytes"}},
			scenario{name: "nonsense", method: "GET", url: path, user: "akb_nonsense", status: 401, lacks: []string{"rss_bytes"}},
			scenario{name: "an admin through a proxy", method: "GET", url: path, user: "root", headers: forwarded, status: 200, has: []string{"42"}},
		)
	}
	a.run(t, rows)
	if !strings.Contains(a.logs.String(), "no disk") {
		t.Error("the log does not say why a section failed")
	}
}

// A section cannot take the place of a field.
func TestSectionsHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	_, err := New(Config{Addr: "127.0.0.1:0", Details: map[string]Section{"status": func(context.Context) any { return "healthy" }}}, Deps{})
	if err == nil || !strings.Contains(err.Error(), "status is a field of its own") {
		t.Errorf("got %v", err)
	}
}

// A server that is told nothing about its memory says so.
func TestMemoryUnknown(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	a.run(t, []scenario{{name: "unknown", method: "GET", url: "/health/memory", status: 404, has: []string{`"not_found"`}}})
}

// Alerts go to the sockets of admins: not to those of users, and not to one that
// has not signed in.
func TestAlertsReachAdminsOnly(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	root := a.user("root", true)
	bob := a.connect("bob")
	stranger, _, err := a.dial("")
	if err != nil {
		t.Fatal(err)
	}
	admin, _, err := a.dial("", "Authorization: Bearer "+root)
	if err != nil {
		t.Fatal(err)
	}
	admin.want("connected")
	a.server.Alert(Alert{Name: "wal", Severity: "warning", Message: "long", Hint: "look", Since: time.Now()})
	if f := admin.want("alert"); !strings.Contains(string(f.Data), `"name":"wal"`) {
		t.Errorf("frame: %s", f.Data)
	}
	// What the others hear next is the answer to what they send now.
	bob.send(`{"type":"ping"}`)
	bob.want("pong")
	stranger.send(`{"type":"auth","token":"` + a.user("bob", false) + `"}`)
	stranger.want("connected")
}
