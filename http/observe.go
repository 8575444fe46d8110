package http

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/agent-kanban/agent-kanban/events"
)

// Observer is told what the server answers, for metrics and traces. Every func
// may be nil and then costs nothing; none may block.
type Observer struct {
	// Begin is called ahead of everything else. The context that it returns is
	// the request's from then on; end is called with the status. route is the
	// pattern ("/api/tickets/:id"), "" where none matches.
	Begin func(r *http.Request, route, requestID string) (ctx context.Context, end func(status int))
	// Done is told of every request after its end, on the request's goroutine.
	Done func(*Request)
	// Limited is told of everything that a limit refused: ScopeRequests and so on.
	Limited func(scope string)
}

// Request is one that ended, and its reply.
type Request struct {
	Time         time.Time
	Peer         string // its address
	Principal    string // "human:3", "" where nobody is signed in
	Method, Path string // the path as it was sent, without the query
	Route        string // the pattern, "" where none matches
	Proto        string // "HTTP/1.1"
	Status       int
	Bytes        int64 // of the reply's body
	Took         time.Duration
	// Timed is false where Took says nothing about the server: a WebSocket, a
	// stream, MCP, a wait that was asked for.
	Timed bool
	ID    string
}

// observeBegin calls Observer.Begin and returns the context of the request.
func (s *Server) observeBegin(c *call) context.Context {
	r := c.gin.Request
	if s.cfg.Observer.Begin == nil {
		return r.Context()
	}
	ctx, end := s.cfg.Observer.Begin(r, c.gin.FullPath(), c.id)
	c.ended = end
	return ctx
}

// observeEnd tells what the reply was.
func (s *Server) observeEnd(c *call) {
	if c.ended == nil && s.cfg.Observer.Done == nil {
		return
	}
	r, route, status := c.gin.Request, c.gin.FullPath(), c.gin.Writer.Status()
	socket := route == "/ws/connect"
	if socket && status == http.StatusOK {
		status = http.StatusSwitchingProtocols // written past gin, which does not know
	}
	if c.ended != nil {
		c.ended(status)
	}
	if s.cfg.Observer.Done == nil {
		return
	}
	done := Request{
		Time: c.start, Peer: c.peer(), Method: r.Method, Path: r.URL.EscapedPath(), Route: route, Proto: r.Proto,
		Status: status, Bytes: int64(max(c.gin.Writer.Size(), 0)), Took: time.Since(c.start), ID: c.id,
		Timed: !socket && !c.waits && route != "/mcp" && !strings.HasPrefix(c.gin.Writer.Header().Get("Content-Type"), streamType),
	}
	if who := c.principal.Actor; who.ID != 0 {
		done.Principal = string(who.Kind) + ":" + strconv.FormatInt(who.ID, 10)
	}
	s.cfg.Observer.Done(&done)
}

// limited tells that a limit was met.
func (s *Server) limited(scope string) {
	if s.cfg.Observer.Limited != nil {
		s.cfg.Observer.Limited(scope)
	}
}

// metricsRoute serves Config.Metrics.
func (s *Server) metricsRoute() {
	if s.cfg.Metrics == nil {
		return
	}
	s.engine.GET("/metrics", func(g *gin.Context) {
		c := callOf(g.Request.Context())
		if err := s.mayScrape(c); err != nil {
			s.fail(c, err)
			return
		}
		g.Writer.Header().Set("Cache-Control", "no-store")
		s.cfg.Metrics.ServeHTTP(g.Writer, g.Request)
	})
}

// mayScrape admits who has the token for metrics, besides those that inside
// admits.
func (s *Server) mayScrape(c *call) error {
	if token := bearer(c.gin.Request); token != "" && s.cfg.MetricsToken != "" {
		// Sums have one length, so that the time tells nothing about it.
		given, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(s.cfg.MetricsToken))
		if subtle.ConstantTimeCompare(given[:], want[:]) == 1 {
			return nil
		}
	}
	err := s.inside(c)
	if events.CodeOf(err) == events.CodeUnauthenticated {
		return errScrape
	}
	return err
}

var errScrape = events.Errorf(events.CodeUnauthenticated,
	"Metrics are for callers on this machine, for an admin's token, and for METRICS_TOKEN, each as \"Authorization: Bearer <token>\".")
