package http

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/live"
)

// newFeed makes the live feed of this server.
func (s *Server) newFeed() (*live.Feed, error) {
	return live.New(live.Config{
		AuthWait: s.cfg.AuthWait, Wait: s.cfg.Wait, Recheck: s.cfg.Heartbeat, Backlog: s.cfg.Backlog, OriginAllowed: s.originAllowed,
		Refuse: func(_ http.ResponseWriter, r *http.Request, e *events.Error) { s.fail(callOf(r.Context()), e) },
		Taken: func(batch []events.Envelope) {
			s.noteRedactions(batch)
			s.kept.touch(batch)
		}, Allow: s.allowFrame, Log: s.log,
	}, live.Deps{
		Log: s.deps.Log, Watermark: s.deps.Watermark, Boards: boards{s}, Credentials: s.deps.Auth,
		Subscribe: func(after int64) live.Subscription { return s.deps.Subscribe(after) },
	})
}

// LiveStats counts the WebSocket connections, as /ws/stats does.
func (s *Server) LiveStats() live.Stats { return s.feed.Stats() }

// boards answers the feed.
type boards struct{ s *Server }

var _ live.Boards = boards{}

// BoardID implements live.Boards.
func (b boards) BoardID(ctx context.Context, ref commands.Ref) (int64, error) {
	return b.s.boardID(ctx, ref)
}

// MayRead implements live.Boards.
func (b boards) MayRead(ctx context.Context, p auth.Principal, board int64) error {
	return b.s.mayRead(ctx, p, board)
}

func (s *Server) liveRoutes() {
	const tag = "live"
	register(s, op{method: "GET", path: "/ws/stats", id: "ws_stats", summary: "Counts of the live feed; from this machine, or for an admin", tag: tag, reply: live.Stats{}, open: true},
		func(c *call, _ *nothing) (answer, error) {
			if err := s.inside(c); err != nil {
				return answer{}, err
			}
			return answer{view: s.feed.Stats()}, nil
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
	var p *auth.Principal
	switch {
	case bearer(c.gin.Request) != "":
		if err := s.signIn(c); err != nil {
			return err
		}
		p = &c.principal
	case ticket != "" && strings.EqualFold(c.header("Upgrade"), "websocket"): // else it would be used up for nothing
		redeemed, err := s.deps.Auth.RedeemTicket(c.ctx(), ticket)
		if err != nil {
			return err
		}
		p = &redeemed
	}
	return s.feed.Serve(c.gin.Writer, c.gin.Request, p)
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
