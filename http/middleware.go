package http

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gin-contrib/cors"
	"github.com/gin-gonic/gin"

	"github.com/agent-kanban/agent-kanban/events"
)

// begin is the outermost layer: the call, its id, the security headers, the
// deadline, recovery and the access log.
func (s *Server) begin(g *gin.Context) {
	c := &call{gin: g, start: time.Now(), id: s.requestID(g.Request.Header.Get("X-Request-Id"))}
	g.Request = g.Request.WithContext(context.WithValue(s.observeBegin(c), callKey{}, c))
	h := g.Writer.Header()
	h["X-Request-Id"] = []string{c.id}
	h["X-Content-Type-Options"] = noSniff
	h["Referrer-Policy"] = noReferrer
	h["X-Frame-Options"] = deny
	h["Content-Security-Policy"] = apiPolicy
	if g.Request.Body != nil && g.Request.Body != http.NoBody {
		g.Request.Body = http.MaxBytesReader(g.Writer, g.Request.Body, maxBody)
	}
	// Not every writer has deadlines (tests); those of the network do.
	_ = http.NewResponseController(g.Writer).SetWriteDeadline(c.start.Add(replyTimeout))
	defer s.end(c)
	g.Next()
}

// Shared values, so that a request allocates none of them. Nothing the API
// answers is a page; pages set their own policy.
var (
	noSniff    = []string{"nosniff"}
	noReferrer = []string{"no-referrer"}
	deny       = []string{"DENY"}
	apiPolicy  = []string{"default-src 'none'; frame-ancestors 'none'"}
)

func (s *Server) end(c *call) {
	if v := recover(); v != nil {
		if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(v)
		}
		s.log.Error("handler panicked", "request_id", c.id, "method", c.gin.Request.Method,
			"path", c.gin.FullPath(), "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		if !c.gin.Writer.Written() {
			s.fail(c, errInternal)
		}
		c.gin.Abort()
	}
	s.observeEnd(c)
}

// cors answers browsers of the configured origins. Other origins get a reply
// without the headers, which their browser then withholds from the page.
func (s *Server) cors() gin.HandlerFunc {
	if len(s.cfg.CORSOrigins) == 0 {
		return nil
	}
	allow := cors.New(cors.Config{
		AllowOrigins: s.cfg.CORSOrigins,
		AllowMethods: []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"},
		AllowHeaders: []string{
			"Authorization", "Content-Type", "Accept", "Idempotency-Key", "If-Match", "If-None-Match",
			"Kanban-Min-Position", "Prefer", "Last-Event-ID", "X-Request-ID",
			"Mcp-Protocol-Version", "Mcp-Method", "Mcp-Name",
		},
		ExposeHeaders: []string{
			"Kanban-Position", "ETag", "Location", "Preference-Applied", "Retry-After", "X-Request-ID",
			"RateLimit", "RateLimit-Policy", "WWW-Authenticate",
		},
		AllowCredentials: true,
		MaxAge:           time.Hour,
	})
	return func(g *gin.Context) {
		if s.origins[strings.ToLower(g.Request.Header.Get("Origin"))] {
			allow(g)
		}
	}
}

// normalise serves every path with and without a trailing slash, and HEAD
// where there is a GET.
func (s *Server) normalise(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := r.URL.Path
		slash := len(p) > 1 && p[len(p)-1] == '/'
		if slash || r.Method == http.MethodHead {
			// A copy: net/http drops the body of a reply to HEAD by looking at
			// the request that it made.
			r2, u2 := *r, *r.URL
			r2.URL = &u2
			if slash {
				u2.Path = strings.TrimRight(p, "/")
				u2.RawPath = strings.TrimRight(u2.RawPath, "/")
				if u2.Path == "" {
					u2.Path, u2.RawPath = "/", ""
				}
			}
			if r.Method == http.MethodHead {
				r2.Method = http.MethodGet
				r2.Header = r.Header.Clone()
				r2.Header.Del("Accept") // HEAD of a stream would never end
			}
			r = &r2
		}
		next.ServeHTTP(w, r)
	})
}

// noRoute answers people with the web board, which says it in their words.
func (s *Server) noRoute(g *gin.Context) {
	if m := g.Request.Method; (m == http.MethodGet || m == http.MethodHead) && strings.Contains(g.Request.Header.Get("Accept"), "text/html") &&
		!strings.HasPrefix(g.Request.URL.Path, "/api/") {
		g.Writer.WriteHeader(http.StatusNotFound)
		s.page(g)
		return
	}
	s.fail(callOf(g.Request.Context()), events.Errorf(events.CodeNotFound, "There is nothing at this address. See /docs for the routes."))
}

func (s *Server) noMethod(g *gin.Context) {
	s.fail(callOf(g.Request.Context()), events.Errorf(events.CodeMethodNotAllowed,
		"%s is not possible here. Possible: %s.", g.Request.Method, g.Writer.Header().Get("Allow")))
}
