package events_test

import (
	"testing"

	"github.com/agent-kanban/agent-kanban/events"
)

func TestEffectiveRole(t *testing.T) {
	t.Parallel()
	const here, elsewhere = 4, 9
	all := events.Scope{}
	for name, row := range map[string]struct {
		member     events.Role
		admin      bool
		visibility events.Visibility
		scope      events.Scope
		want       events.Role
	}{
		"member":                       {events.AgentRole, false, events.Private, all, events.AgentRole},
		"viewer of an internal board":  {events.ViewerRole, false, events.Internal, all, events.ViewerRole},
		"pm of an internal board":      {events.PM, false, events.Internal, all, events.PM},
		"stranger, private":            {events.NoRole, false, events.Private, all, events.NoRole},
		"stranger, internal":           {events.NoRole, false, events.Internal, all, events.ViewerRole},
		"stranger, unknown visibility": {events.NoRole, false, "", all, events.NoRole},
		"admin, private":               {events.NoRole, true, events.Private, all, events.PM},
		"admin who is a viewer":        {events.ViewerRole, true, events.Private, all, events.PM},
		"admin's agent token":          {events.NoRole, true, events.Private, events.Scope{Role: events.AgentRole}, events.AgentRole},
		"admin's token of this board":  {events.NoRole, true, events.Private, events.Scope{Boards: []int64{here}}, events.PM},
		"admin's token of another":     {events.NoRole, true, events.Internal, events.Scope{Boards: []int64{elsewhere}}, events.NoRole},
		"pm's viewer token":            {events.PM, false, events.Private, events.Scope{Role: events.ViewerRole}, events.ViewerRole},
		"viewer's pm token":            {events.ViewerRole, false, events.Private, events.Scope{Role: events.PM}, events.ViewerRole},
		"stranger's pm token":          {events.NoRole, false, events.Private, events.Scope{Role: events.PM}, events.NoRole},
		"member's token of another":    {events.PM, false, events.Internal, events.Scope{Boards: []int64{elsewhere}}, events.NoRole},
	} {
		if got := events.EffectiveRole(row.member, row.admin, row.visibility, here, row.scope); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}

func TestPermissionTable(t *testing.T) {
	t.Parallel()
	for role, want := range map[events.Role]map[events.Permission]bool{
		events.PM:         {events.MayRead: true, events.MayContribute: true, events.MayManageTickets: true, events.MayManageBoard: true},
		events.AgentRole:  {events.MayRead: true, events.MayContribute: true},
		events.ViewerRole: {events.MayRead: true},
		events.NoRole:     {},
		"nonsense":        {},
	} {
		for p := events.MayRead; p <= events.MayManageBoard; p++ {
			if got := role.May(p); got != want[p] {
				t.Errorf("%q may %d: %v, want %v", role, p, got, want[p])
			}
		}
	}
}

func TestAtMost(t *testing.T) {
	t.Parallel()
	order := []events.Role{events.NoRole, events.ViewerRole, events.AgentRole, events.PM}
	for i, role := range order {
		for j, limit := range order {
			if got, want := role.AtMost(limit), order[min(i, j)]; got != want {
				t.Errorf("%q at most %q: %q, want %q", role, limit, got, want)
			}
		}
		if got := role.AtMost("nonsense"); got != events.NoRole {
			t.Errorf("%q at most a role nobody knows: %q, want none", role, got)
		}
		if got := events.Role("nonsense").AtMost(role); got != events.NoRole {
			t.Errorf("a role nobody knows at most %q: %q, want none", role, got)
		}
		if got, want := role.Valid(), role != events.NoRole; got != want {
			t.Errorf("%q valid: %v, want %v", role, got, want)
		}
	}
}

func TestScopeLimit(t *testing.T) {
	t.Parallel()
	const here = 4
	for name, row := range map[string]struct {
		scope events.Scope
		role  events.Role
		want  events.Role
	}{
		"no limit":                   {events.Scope{}, events.PM, events.PM},
		"no limit on nothing":        {events.Scope{}, events.NoRole, events.NoRole},
		"this board":                 {events.Scope{Boards: []int64{here}}, events.AgentRole, events.AgentRole},
		"this board among others":    {events.Scope{Boards: []int64{1, here, 9}}, events.PM, events.PM},
		"another board":              {events.Scope{Boards: []int64{1, 9}}, events.PM, events.NoRole},
		"no board, not every board":  {events.Scope{Boards: []int64{0}}, events.PM, events.NoRole},
		"role narrows":               {events.Scope{Role: events.ViewerRole}, events.PM, events.ViewerRole},
		"role never widens":          {events.Scope{Role: events.PM}, events.ViewerRole, events.ViewerRole},
		"role gives nothing":         {events.Scope{Role: events.PM}, events.NoRole, events.NoRole},
		"role on this board":         {events.Scope{Boards: []int64{here}, Role: events.AgentRole}, events.PM, events.AgentRole},
		"role on another board":      {events.Scope{Boards: []int64{9}, Role: events.PM}, events.PM, events.NoRole},
		"an unknown role is nothing": {events.Scope{Role: "root"}, events.PM, events.NoRole},
	} {
		if got := row.scope.Limit(here, row.role); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}
