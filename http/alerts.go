package http

import (
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// Alert is something that operators should look at: the data of the frame
// "alert", and an item of /api/alerts.
type Alert struct {
	Name     string    `json:"name" doc:"What was looked at, such as disk_data"`
	Severity string    `json:"severity" enum:"warning,critical"`
	Message  string    `json:"message" doc:"What is wrong"`
	Hint     string    `json:"hint" doc:"What to do"`
	Since    time.Time `json:"since"`
	Cleared  time.Time `json:"cleared_at,omitzero" doc:"When it was over; absent while it lasts"`
}

type alertList struct {
	Items []Alert `json:"items" doc:"What is wrong now"`
	Total int     `json:"total"`
	Past  []Alert `json:"past" doc:"What was wrong since the start, newest first; bounded"`
}

func (s *Server) alertRoutes() {
	register(s, op{method: "GET", path: "/api/alerts", id: "list_alerts", summary: "What is wrong with the server; for admins", tag: "health", reply: alertList{}},
		func(c *call, _ *nothing) (answer, error) {
			if !c.principal.Administers() {
				return answer{}, events.Errorf(events.CodeForbidden, "Only an admin may see alerts.")
			}
			active, past := s.cfg.Alerts()
			return answer{view: alertList{append([]Alert{}, active...), len(active), append([]Alert{}, past...)}}, nil
		})
}

// Alert tells the sockets of admins that something is wrong, or is over. It does
// not wait for them.
func (s *Server) Alert(a Alert) { s.feed.Announce("alert", a) }
