package live

import (
	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/events"
)

// notice is some events of one board, ready to send.
type notice struct {
	text  []byte
	count int64
	last  int64
}

func (n *notice) add(e *events.Envelope) {
	if len(n.text) > 0 {
		n.text = append(n.text, '\n')
	}
	n.text = appendFrame(n.text, e)
	n.count++
	n.last = e.Position
}

// appendFrame writes {"event":type,"data":envelope}.
func appendFrame(b []byte, e *events.Envelope) []byte {
	b = append(b, `{"event":"`...)
	b = append(b, e.Type...)
	b = append(b, `","data":`...)
	b = append(b, e.JSON()...)
	return append(b, '}')
}

// SeesPersonal is the rule for events that belong to no board.
func SeesPersonal(p *auth.Principal, e *events.Envelope) bool {
	return p.Administers() || e.Stream == events.UserStream(p.Actor.ID)
}

// ChangesAccess reports whether an event can change who may see what.
func ChangesAccess(e *events.Envelope) bool {
	switch e.Type {
	case events.TypeMemberAdded, events.TypeMemberUpdated, events.TypeMemberRemoved,
		events.TypeBoardUpdated, events.TypeBoardDeleted,
		events.TypeUserUpdated, events.TypeUserDeactivated, events.TypeTokenRevoked:
		return true
	default:
		return false
	}
}

func memberOf(e *events.Envelope) int64 {
	fact, err := e.Payload()
	if err != nil {
		return 0
	}
	switch f := fact.(type) {
	case events.MemberAdded:
		return f.UserID
	case events.MemberUpdated:
		return f.UserID
	case events.MemberRemoved:
		return f.UserID
	default:
		return 0
	}
}
