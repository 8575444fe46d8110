package http

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/agent-kanban/agent-kanban/events"
)

func (s *Server) liveRoutes() {
	const tag = "live"
	register(s, op{method: "GET", path: "/ws/stats", id: "ws_stats", summary: "Counts of the live feed; from this machine, or for an admin", tag: tag, reply: feedStats{}, open: true},
		func(c *call, _ *nothing) (answer, error) {
			if err := s.inside(c); err != nil {
				return answer{}, err
			}
			return answer{view: s.feed.stats()}, nil
		})
	register(s, op{method: "GET", path: "/ws/connect", id: "ws_connect", summary: "WebSocket of live events: Authorization header, ?ticket=, or a first frame {\"type\":\"auth\",\"token\":…}", tag: tag, status: http.StatusSwitchingProtocols, open: true},
		func(c *call, in *struct {
			Ticket string `query:"ticket" doc:"From POST /api/auth/ws-ticket"`
		},
		) (answer, error) {
			return answer{done: true}, s.connect(c, in.Ticket)
		})
}

// connect serves one WebSocket from here to its end.
func (s *Server) connect(c *call, ticket string) error {
	se := newSession(s.feed)
	switch {
	case bearer(c.gin.Request) != "":
		if err := s.signIn(c); err != nil {
			return err
		}
		se.principal, se.signedIn = c.principal, true
	case ticket != "":
		if !websocketRequest(c.gin) { // do not use the ticket up for nothing
			break
		}
		p, err := s.deps.Auth.RedeemTicket(c.ctx(), ticket)
		if err != nil {
			return err
		}
		se.principal, se.signedIn = p, true
	}
	if !s.feed.enter() {
		return events.Errorf(events.CodeUnavailable, "The server is stopping. Try again in a moment.")
	}
	defer s.feed.open.Done()
	defer se.closers.Wait()
	// What melody refuses it answers itself, through Upgrader.Error.
	_ = s.feed.melody.HandleRequestWithKeys(c.gin.Writer, c.gin.Request, map[string]any{sessionKey: se})
	return nil
}

func websocketRequest(g *gin.Context) bool {
	return strings.EqualFold(g.Request.Header.Get("Upgrade"), "websocket")
}

// originAllowed admits programs (no Origin), the server's own pages and the
// configured origins.
func (s *Server) originAllowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || s.origins[strings.ToLower(origin)] {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}
