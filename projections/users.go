package projections

import (
	"context"

	"github.com/agent-kanban/agent-kanban/events"
)

// users keeps people and agents.
type users struct{ insert, update, deactivate, pause statement }

var _ Projector = (*users)(nil)

func newUsers(p *preparer) *users {
	return &users{
		insert: p.prepare(`INSERT INTO {users} (id, username, display_name, kind, admin, active, created_at, updated_at)
			VALUES (?, ?, ?, ?, ?, 1, ?, ?)`),
		update: p.prepare(`UPDATE {users} SET display_name = coalesce(?, display_name), admin = coalesce(?, admin),
			updated_at = ? WHERE id = ?`),
		pause:      p.prepare(`UPDATE {users} SET paused = ?, pause_reason = ?, updated_at = ? WHERE id = ?`),
		deactivate: p.prepare(`UPDATE {users} SET active = 0, updated_at = ? WHERE id = ?`),
	}
}

func (*users) Name() string     { return "users" }
func (*users) Tables() []string { return []string{"users"} }

// Apply keeps who there is. Tokens have no row here: their secrets live with the
// accounts.
func (u *users) Apply(ctx context.Context, tx *Tx, c Change) error {
	switch f := c.Fact.(type) {
	case nil:
		if c.Type != events.TypeUserRegistered {
			return nil
		}
		return tx.exec(ctx, u.insert, events.StreamID(c.Stream), Redacted, Redacted, string(events.Human), 0, c.At, c.At)
	case events.UserRegistered:
		return tx.exec(ctx, u.insert, f.UserID, f.Name, f.DisplayName, string(f.Kind), bit(f.Admin), c.At, c.At)
	case events.UserUpdated:
		var admin any
		if f.Admin != nil {
			admin = bit(*f.Admin)
		}
		return tx.exec(ctx, u.update, optional(f.DisplayName), admin, c.At, f.UserID)
	case events.UserDeactivated:
		return tx.exec(ctx, u.deactivate, c.At, f.UserID)
	case events.AgentPaused:
		return tx.exec(ctx, u.pause, 1, f.Reason, c.At, f.UserID)
	case events.AgentResumed:
		return tx.exec(ctx, u.pause, 0, "", c.At, f.UserID)
	default:
		return nil // other views, or none
	}
}

// bit is how rows hold a boolean.
func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
