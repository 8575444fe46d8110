package http

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

type health struct {
	Status   string   `json:"status"`
	Reasons  []string `json:"reasons,omitempty" doc:"Why commands or queries are not served"`
	Degraded []string `json:"degraded" doc:"What is missing but not vital"`
}

// Section answers for one part of the server in /health/detailed: a value that
// becomes a JSON object.
type Section func(ctx context.Context) any

type status struct {
	Version   string    `json:"version"`
	LogID     string    `json:"log_id"`
	StartedAt time.Time `json:"started_at"`
	Uptime    int64     `json:"uptime_seconds"`
	Head      int64     `json:"head" doc:"Last position of the log"`
	Projected int64     `json:"projected" doc:"Last position that queries see"`
	Setup     bool      `json:"setup" doc:"The first account is still to be made at /setup"`
}

func (s *Server) healthRoutes() {
	const tag = "health"
	for path, id := range map[string]string{"/health": "health", "/api/health": "api_health"} {
		register(s, op{method: "GET", path: path, id: id, summary: "Are commands and queries served", tag: tag, reply: health{}, open: true}, s.health)
	}
	register(s, op{method: "GET", path: "/health/live", id: "health_live", summary: "The process answers", tag: tag, reply: health{}, open: true},
		func(*call, *nothing) (answer, error) {
			return answer{view: health{Status: "live", Degraded: []string{}}}, nil
		})
	register(s, op{method: "GET", path: "/health/ready", id: "health_ready", summary: "Requests may be sent here", tag: tag, reply: health{}, open: true},
		func(c *call, _ *nothing) (answer, error) {
			if reasons := s.unread(c); len(reasons) > 0 {
				return answer{view: health{"down", reasons, []string{}}, status: http.StatusServiceUnavailable}, nil
			}
			return answer{view: health{Status: "ready", Degraded: []string{}}}, nil
		})
	register(s, op{method: "GET", path: "/health/detailed", id: "health_detailed", summary: "How each part is; from this machine, or for an admin", tag: tag, reply: map[string]any{}, open: true}, s.detailed)
	register(s, op{method: "GET", path: "/health/memory", id: "health_memory", summary: "The memory of the process; from this machine, or for an admin", tag: tag, reply: map[string]any{}, open: true},
		func(c *call, _ *nothing) (answer, error) {
			if err := s.inside(c); err != nil {
				return answer{}, err
			}
			section := s.cfg.Details["memory"]
			if section == nil {
				return answer{}, events.Errorf(events.CodeNotFound, "This server does not know how much memory it uses.")
			}
			return answer{view: section(c.ctx())}, nil
		})
	register(s, op{method: "GET", path: "/api/status", id: "status", summary: "Version, log and how far queries are", tag: tag, reply: status{}, open: true},
		func(c *call, _ *nothing) (answer, error) {
			head, err := s.deps.Log.Head(c.ctx())
			if err != nil {
				return answer{}, err
			}
			users, err := s.deps.Queries.HasUsers(c.ctx())
			return answer{view: status{
				Version: s.cfg.Version, LogID: s.deps.Log.LogID(), StartedAt: s.started.UTC().Truncate(time.Second),
				Uptime: int64(time.Since(s.started).Seconds()), Head: head.Position,
				Projected: s.deps.Watermark.Position(), Setup: !users,
			}}, err
		})
}

// health speaks the words that the operators' scripts look for: "healthy"
// appears nowhere else.
func (s *Server) health(c *call, _ *nothing) (answer, error) {
	missing := s.missing()
	if reasons := s.down(c); len(reasons) > 0 {
		return answer{view: health{"down", reasons, missing}, status: http.StatusServiceUnavailable}, nil
	}
	return answer{view: health{Status: "healthy", Degraded: missing}}, nil
}

// missing is never nil: its readers count it.
func (s *Server) missing() []string { return append([]string{}, s.cfg.Degraded()...) }

// healthWait bounds how long a question about health waits for the database.
const healthWait = 2 * time.Second

// down returns why commands or queries are not served, nothing where they are.
func (s *Server) down(c *call) []string {
	ctx, cancel := context.WithTimeout(c.ctx(), healthWait)
	defer cancel()
	return append(s.unread(c), s.cfg.Down(ctx)...)
}

// unread returns why queries are not served: the server is stopping, or the log
// or the read model cannot be read.
func (s *Server) unread(c *call) []string {
	if s.stopping.Err() != nil {
		return []string{"the server is stopping"}
	}
	ctx, cancel := context.WithTimeout(c.ctx(), healthWait)
	defer cancel()
	if _, err := s.deps.Log.Head(ctx); err != nil {
		return []string{"the log cannot be read"}
	}
	if _, err := s.deps.Queries.HasUsers(ctx); err != nil {
		return []string{"the read model cannot be read"}
	}
	return nil
}

// ownSections are the fields of /health/detailed that this package fills.
var ownSections = []string{"status", "reasons", "degraded", "version", "websocket", "started_at", "uptime_seconds"}

// detailed answers with all sections, whatever becomes of one of them.
func (s *Server) detailed(c *call, _ *nothing) (answer, error) {
	if err := s.inside(c); err != nil {
		return answer{}, err
	}
	reasons := append([]string{}, s.down(c)...)
	status := "serving"
	if len(reasons) > 0 {
		status = "down"
	}
	view := map[string]any{
		"status": status, "reasons": reasons, "degraded": s.missing(), "version": s.cfg.Version, "websocket": s.feed.Stats(),
		"started_at": s.started.UTC().Truncate(time.Second), "uptime_seconds": int64(time.Since(s.started).Seconds()),
	}
	for name, section := range s.cfg.Details {
		view[name] = s.section(c, name, section)
	}
	return answer{view: view}, nil
}

func (s *Server) section(c *call, name string, section Section) (view any) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("section of the health panicked", "section", name, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			view = map[string]string{"error": "this part could not be looked at; the server's log says why"}
		}
	}()
	ctx, cancel := context.WithTimeout(c.ctx(), healthWait)
	defer cancel()
	return section(ctx)
}

// inside refuses callers that are neither on this machine nor an admin.
func (s *Server) inside(c *call) error {
	if bearer(c.gin.Request) == "" {
		if c.local() {
			return nil
		}
		return errSignIn
	}
	if err := s.signIn(c); err != nil {
		return err
	}
	if !c.principal.Administers() {
		return events.Errorf(events.CodeForbidden, "Only an admin may see this from another machine.")
	}
	return nil
}
