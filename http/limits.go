package http

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/ui"
)

// What Observer.Limited is told.
const (
	ScopeRequests     = "requests"     // of a principal
	ScopeAddress      = "address"      // requests without good credentials
	ScopeFrames       = "frames"       // of a WebSocket
	ScopeCommands     = "commands"     // an agent's budget
	ScopeLogin        = "login"        // failures, by account or address
	ScopeRegistration = "registration" // by address
)

// RequestLimit counts requests.
type RequestLimit interface {
	// Take counts one request of a key. It always answers, and soon.
	Take(ctx context.Context, key string) Quota
}

// Quota is what a key has left.
type Quota struct {
	Allowed   bool
	Limit     int           // at once, and per Window
	Window    time.Duration // in which Limit comes back
	Remaining int           // now
	Reset     time.Duration // until all of it is back
	Retry     time.Duration // until the next request; 0 where this one is allowed
}

// unlimited are the routes that operators, probes and browsers' pages need
// whatever else happens: they cost next to nothing, or answer this machine alone.
// /mcp asks the API who calls, and that request counts.
func unlimited(route string) bool {
	switch route {
	case "/docs", "/openapi.json", "/metrics", "/api/health", "/api/status", "/health", "/ws/stats", "/mcp":
		return true
	default:
		return strings.HasPrefix(route, "/health/") || strings.HasPrefix(route, "/docs/") ||
			strings.HasPrefix(route, ui.Prefix) || strings.HasPrefix(route, "/.well-known/") || slices.Contains(boardPages, route)
	}
}

// limitRequests counts the request of whoever is proven to send it, and by
// address where nobody is. Credentials are looked at first: were a bad one's
// address refused unseen, one agent with an old token would shut out all others
// on its machine. A look costs a hash and at most one row.
func (s *Server) limitRequests(g *gin.Context) {
	if unlimited(g.FullPath()) {
		return
	}
	c := callOf(g.Request.Context())
	scope, key := ScopeAddress, "address:"+auth.AddressKey(c.peer())
	if bearer(g.Request) != "" && s.signIn(c) == nil {
		if budgeted(c) {
			return
		}
		scope, key = ScopeRequests, userKey(&c.principal)
	}
	q := s.cfg.Requests.Take(g.Request.Context(), key)
	q.header(g.Writer.Header())
	if q.Allowed {
		return
	}
	s.limited(scope)
	s.fail(c, q.refusal(scope))
	g.Abort()
}

// budgeted tells the requests that the command budget of agents governs. What
// concerns accounts is no command.
func budgeted(c *call) bool {
	return c.principal.Actor.Kind == events.Agent && c.gin.Request.Method != http.MethodGet &&
		!strings.HasPrefix(c.gin.FullPath(), "/api/auth/")
}

func userKey(p *auth.Principal) string { return "user:" + strconv.FormatInt(p.Actor.ID, 10) }

// allowFrame counts a frame of a WebSocket like a request.
func (s *Server) allowFrame(ctx context.Context, p auth.Principal) error {
	if s.cfg.Requests == nil {
		return nil
	}
	q := s.cfg.Requests.Take(ctx, userKey(&p))
	if q.Allowed {
		return nil
	}
	s.limited(ScopeFrames)
	return q.refusal(ScopeFrames)
}

// header says what is left, after draft-ietf-httpapi-ratelimit-headers.
func (q *Quota) header(h http.Header) {
	h.Set("RateLimit-Policy", `"requests";q=`+strconv.Itoa(q.Limit)+";w="+seconds(q.Window))
	h.Set("RateLimit", `"requests";r=`+strconv.Itoa(q.Remaining)+";t="+seconds(q.Reset))
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(math.Ceil(d.Seconds())), 10) }

func (q *Quota) refusal(scope string) *events.Error {
	wait := max(q.Retry, time.Second).Round(time.Second)
	perMinute := int(math.Round(float64(q.Limit) * float64(time.Minute) / float64(q.Window)))
	whose := "You have"
	if scope == ScopeAddress {
		whose = "Callers from your address that are not signed in have"
	}
	advice := "Ask less often: follow /ws/connect or /api/events instead of asking again and again."
	if scope == ScopeAddress {
		advice = "Sign in with a token that is good: each person and each agent has a limit of their own."
	}
	return &events.Error{
		Code: events.CodeRateLimited, RetryAfter: wait,
		Message: fmt.Sprintf("%s used up the requests allowed here (%d a minute, %d at once). Try again in %s. %s", whose, perMinute, q.Limit, wait, advice),
	}
}
