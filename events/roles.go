package events

import "slices"

// ActorKind says what kind of principal acted.
type ActorKind string

const (
	Human  ActorKind = "human"
	Agent  ActorKind = "agent"
	System ActorKind = "system"
)

// Actor is who did something. It always comes from a credential, never from a
// request's body. ID is 0 for the system and for actors that an import only
// knows by name.
type Actor struct {
	Kind ActorKind `json:"kind"`
	ID   int64     `json:"id"`
	Name string    `json:"name"`
}

// SystemActor is the server itself.
var SystemActor = Actor{Kind: System, Name: "system"}

// Role is what a member is on one board.
type Role string

const (
	PM         Role = "pm"
	AgentRole  Role = "agent"
	ViewerRole Role = "viewer"
	// NoRole is held by whoever may not see the board at all.
	NoRole Role = ""
)

// Permission is something a role may or may not do on a board.
type Permission int

const (
	// MayRead: board, tickets, comments, history, statistics, events.
	MayRead Permission = iota
	// MayContribute: create a ticket, comment, claim, and change or move a
	// ticket one holds or is assigned to.
	MayContribute
	// MayManageTickets: change, move, assign, archive, delete any ticket,
	// override a WIP limit, approve.
	MayManageTickets
	// MayManageBoard: board, columns, policies, members, tokens of its agents.
	MayManageBoard
)

// matrix is the permission table of the API contract, one row per role.
var matrix = map[Role][4]bool{
	//          read, contribute, tickets, board
	PM:         {true, true, true, true},
	AgentRole:  {true, true, false, false},
	ViewerRole: {true, false, false, false},
	NoRole:     {},
}

// May reports whether the role includes the permission.
func (r Role) May(p Permission) bool { return matrix[r][p] }

// Valid reports whether r can be given to a member.
func (r Role) Valid() bool { return r == PM || r == AgentRole || r == ViewerRole }

// weakest first: the order in which a limit narrows a role.
var weakest = []Role{NoRole, ViewerRole, AgentRole, PM}

// AtMost returns the weaker of two roles: what a member may do through a token
// that was issued with the role limit. A role nobody knows counts as none.
func (r Role) AtMost(limit Role) Role {
	return weakest[max(0, min(slices.Index(weakest, r), slices.Index(weakest, limit)))]
}

// Scope narrows what a credential may do below what its owner may. The zero
// value narrows nothing.
type Scope struct {
	Boards []int64 // empty = every board of the owner
	Role   Role    // "" = no limit
}

// Limit returns what role is left on a board under the scope.
func (s Scope) Limit(board int64, role Role) Role {
	if len(s.Boards) > 0 && !slices.Contains(s.Boards, board) {
		return NoRole
	}
	if s.Role == NoRole {
		return role
	}
	return role.AtMost(s.Role)
}

// EffectiveRole returns what a principal is on a board: member is its role
// there (NoRole where it is none), admin its global flag, visibility the
// board's. An admin counts as pm everywhere, and whoever is signed in reads an
// internal board. The scope of the credential is applied last, so that it
// narrows an admin too.
func EffectiveRole(member Role, admin bool, visibility Visibility, board int64, scope Scope) Role {
	role := member
	switch {
	case admin:
		role = PM
	case role == NoRole && visibility == Internal:
		role = ViewerRole
	}
	return scope.Limit(board, role)
}
