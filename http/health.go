package http

import (
	"net/http"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

type health struct {
	Status   string   `json:"status"`
	Degraded []string `json:"degraded" doc:"What is missing but not vital"`
}

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
		func(*call, *nothing) (answer, error) { return answer{view: health{"live", []string{}}}, nil })
	register(s, op{method: "GET", path: "/health/ready", id: "health_ready", summary: "Requests may be sent here", tag: tag, reply: health{}, open: true},
		func(c *call, _ *nothing) (answer, error) {
			if !s.serving(c) {
				return answer{view: health{"down", []string{}}, status: http.StatusServiceUnavailable}, nil
			}
			return answer{view: health{"ready", []string{}}}, nil
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
	missing := s.cfg.Degraded()
	if missing == nil {
		missing = []string{}
	}
	if !s.serving(c) {
		return answer{view: health{"down", missing}, status: http.StatusServiceUnavailable}, nil
	}
	return answer{view: health{"healthy", missing}}, nil
}

// serving reports whether commands and queries can be answered: the server is
// not stopping and both the log and the read model can be read.
func (s *Server) serving(c *call) bool {
	if s.stopping.Err() != nil {
		return false
	}
	if _, err := s.deps.Log.Head(c.ctx()); err != nil {
		return false
	}
	_, err := s.deps.Queries.HasUsers(c.ctx())
	return err == nil
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
