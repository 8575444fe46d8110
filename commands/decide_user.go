package commands

import (
	"slices"
	"strings"

	"github.com/agent-kanban/agent-kanban/events"
)

// admin reports whether the actor may act on any account. A token that is
// limited to boards or to a role never may.
func (d *decision) admin() bool {
	if d.meta.Trusted {
		return true
	}
	u := d.dir.Users[d.meta.Actor.ID]
	return u != nil && u.Admin && u.Active && len(d.meta.Scope.Boards) == 0 && d.meta.Scope.Role == events.NoRole
}

func (d *decision) self(id int64) bool {
	return d.meta.Actor.ID == id && len(d.meta.Scope.Boards) == 0 && d.meta.Scope.Role == events.NoRole
}

func onUser(id int64, fact events.Event) []decided {
	return []decided{{stream: events.UserStream(id), fact: fact}}
}

// registerUser adds a principal. Who may register people is decided by the
// server's policy before it gets here, as a trusted caller; a pm may register
// agents, because it issues their tokens.
func (d *decision) registerUser(c RegisterUser) ([]decided, error) {
	if !d.admin() && (c.Admin || c.Kind != events.Agent || d.meta.Actor.ID == 0) {
		return nil, events.Errorf(events.CodeForbidden, "Only an admin may register users.")
	}
	var check checker
	c.Name = check.line("username", c.Name, MaxUserName, true)
	c.DisplayName = check.line("display_name", c.DisplayName, MaxName, false)
	if Ref(c.Name).ID() != 0 || strings.EqualFold(c.Name, events.SystemActor.Name) {
		check.fail("username", "must not be a number or \"system\"")
	}
	if events.LooksErased(c.Name) || events.LooksErased(c.DisplayName) {
		check.fail("username", "must not begin like the name of a user that was erased")
	}
	if c.Kind != events.Human && c.Kind != events.Agent {
		check.fail("kind", "must be human or agent")
	}
	if err := check.err(); err != nil {
		return nil, err
	}
	if _, taken := d.dir.userNamed(c.Name); taken != nil {
		return nil, events.Errorf(events.CodeNameTaken, "The name %q is taken. Choose another.", c.Name)
	}
	if c.DisplayName == "" {
		c.DisplayName = c.Name
	}
	id := d.dir.NextUser
	return onUser(id, events.UserRegistered{
		UserID: id, Name: c.Name, DisplayName: c.DisplayName, Kind: c.Kind, Admin: c.Admin,
	}), nil
}

func (d *decision) user(id int64) (*user, error) {
	u := d.dir.Users[id]
	if u == nil || !d.admin() && !d.self(id) {
		return nil, events.Errorf(events.CodeNotFound, "There is no such user, or you may not change it.")
	}
	return u, nil
}

func (d *decision) updateUser(c UpdateUser) ([]decided, error) {
	u, err := d.user(c.UserID)
	if err != nil {
		return nil, err
	}
	var check checker
	f := events.UserUpdated{UserID: c.UserID}
	changed := false
	if c.DisplayName != nil {
		changed = differs(&f.DisplayName, check.line("display_name", *c.DisplayName, MaxName, true), u.Display)
	}
	if c.Admin != nil && *c.Admin != u.Admin {
		if !d.admin() {
			return nil, events.Errorf(events.CodeForbidden, "Only an admin may change who is one.")
		}
		if !*c.Admin {
			if err := d.otherAdmin(c.UserID); err != nil {
				return nil, err
			}
		}
		f.Admin, changed = c.Admin, true
	}
	if err := check.err(); err != nil || !changed {
		return nil, err
	}
	return onUser(c.UserID, f), nil
}

func (d *decision) deactivateUser(c DeactivateUser) ([]decided, error) {
	u, err := d.user(c.UserID)
	if err != nil || !u.Active {
		return nil, err
	}
	if u.Admin {
		if err := d.otherAdmin(c.UserID); err != nil {
			return nil, err
		}
	}
	return onUser(c.UserID, events.UserDeactivated{UserID: c.UserID}), nil
}

// otherAdmin refuses to leave the server without an admin.
func (d *decision) otherAdmin(id int64) error {
	for other, u := range d.dir.Users {
		if other != id && u.Admin && u.Active {
			return nil
		}
	}
	return events.Errorf(events.CodeConflict, "This is the last admin. Make somebody else admin first.")
}

// issueToken records a token. A user may issue tokens for itself; a pm of every
// board in question, or an admin, for agents.
func (d *decision) issueToken(c IssueToken) ([]decided, error) {
	id, u := d.dir.userNamed(c.User)
	if u == nil || !u.Active {
		return nil, invalid("user", "must be an active user or agent")
	}
	var check checker
	c.Name = check.line("name", c.Name, MaxName, true)
	if !c.Role.Valid() {
		check.fail("role", "must be pm, agent or viewer")
	}
	if err := check.err(); err != nil {
		return nil, err
	}
	for _, board := range c.Boards {
		role, err := d.roleOn(board)
		switch {
		case err != nil:
			return nil, err
		case !role.May(events.MayRead):
			return nil, errNoBoard
		case u.Kind == events.Agent && !role.May(events.MayManageBoard):
			return nil, events.Errorf(events.CodeForbidden, "Only a pm of board %d may issue tokens for its agents.", board)
		}
	}
	if !d.admin() && !d.self(id) && (u.Kind != events.Agent || len(c.Boards) == 0) {
		return nil, events.Errorf(events.CodeForbidden, "You may issue tokens for yourself, or for agents of boards you are pm of: name the boards.")
	}
	token := d.dir.NextToken
	return onUser(id, events.TokenIssued{
		TokenID: token, UserID: id, Name: c.Name, Role: c.Role,
		Boards: append([]int64{}, c.Boards...), ExpiresAt: micros(c.ExpiresAt),
	}), nil
}

func (d *decision) revokeToken(c RevokeToken) ([]decided, error) {
	notFound := events.Errorf(events.CodeNotFound, "There is no such token, or you may not revoke it.")
	u := d.dir.Users[c.UserID]
	if u == nil {
		return nil, notFound
	}
	t, ok := u.Tokens[c.TokenID]
	if !ok {
		return nil, notFound
	}
	allowed := d.admin() || d.self(c.UserID)
	if !allowed && u.Kind == events.Agent && len(t.Boards) > 0 {
		roles := slices.Clone(t.Boards)
		allowed = !slices.ContainsFunc(roles, func(board int64) bool {
			role, err := d.roleOn(board)
			return err != nil || !role.May(events.MayManageBoard)
		})
	}
	if !allowed {
		return nil, notFound
	}
	return onUser(c.UserID, events.TokenRevoked{TokenID: c.TokenID, UserID: c.UserID}), nil
}
