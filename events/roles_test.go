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
