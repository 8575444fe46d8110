package auth

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// Budget is what a principal has left of what it may do. The zero Budget has no
// limit.
type Budget struct {
	Limit     int           // at once, and per Window
	Remaining int           // now
	Window    time.Duration // in which Limit comes back
	Reset     time.Duration // until all of it is back
}

// AllowCommands counts n commands of an agent, a list of more than its budget as
// a whole budget, and returns CodeRateLimited, with when to try again, where it
// has not so many left: a runaway stops at its limit, and does not slow down
// others. People have no such limit.
func (s *Service) AllowCommands(p Principal, n int) error {
	if !s.budgeted(p) {
		return nil
	}
	limit := s.cfg.AgentCommands
	wait := s.commands.spend(s.cfg.Now(), accountKey(p), min(n, limit.Burst))
	if wait <= 0 {
		return nil
	}
	return limited(fmt.Sprintf("You have used up your budget as an agent: %d commands in %s.", limit.Burst, spell(limit.window())), wait)
}

// CommandBudget returns what AllowCommands would still allow.
func (s *Service) CommandBudget(p Principal) Budget {
	if !s.budgeted(p) {
		return Budget{}
	}
	limit := s.cfg.AgentCommands
	left := s.commands.left(s.cfg.Now(), accountKey(p))
	return Budget{
		Limit: limit.Burst, Remaining: max(int(left), 0), Window: limit.window(),
		Reset: time.Duration((float64(limit.Burst) - left) * float64(limit.Every)),
	}
}

func (s *Service) budgeted(p Principal) bool {
	return p.Actor.Kind == events.Agent && s.cfg.AgentCommands.Burst > 0
}

func accountKey(p Principal) string { return strconv.FormatInt(p.Actor.ID, 10) }

// window is the time in which the whole burst comes back.
func (l Limit) window() time.Duration {
	return (time.Duration(l.Burst) * l.Every).Round(time.Second)
}

func spell(d time.Duration) string {
	if d == time.Minute {
		return "a minute"
	}
	return d.String()
}

// spend takes n tokens of the key's bucket at once. With fewer left it takes
// nothing and returns how long to wait.
func (l *limiter) spend(now time.Time, key string, n int) (wait time.Duration) {
	bucket := l.of(now, key)
	if bucket.AllowN(now, n) {
		return 0
	}
	missing := float64(n) - bucket.TokensAt(now)
	return max(time.Duration(math.Ceil(missing*float64(l.limit.Every))), 1)
}

func (l *limiter) left(now time.Time, key string) float64 { return l.of(now, key).TokensAt(now) }
