package live

import (
	"strings"
	"testing"

	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/events"
)

func TestNewNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := New(Config{}, Deps{})
	for _, want := range []string{"OriginAllowed", "Watermark"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want it to name %s", err, want)
		}
	}
}

func TestPersonalEvents(t *testing.T) {
	t.Parallel()
	of := func(stream string) *events.Envelope { return &events.Envelope{Stream: stream} }
	user := auth.Principal{Actor: events.Actor{ID: 2}}
	admin := auth.Principal{Actor: events.Actor{ID: 3}, Admin: true}
	narrow := admin
	narrow.Scope.Boards = []int64{1}
	for _, row := range []struct {
		name   string
		p      auth.Principal
		stream string
		want   bool
	}{
		{"own", user, "user-2", true},
		{"somebody else's", user, "user-3", false},
		{"the system's", user, events.SystemStream, false},
		{"admin, somebody's", admin, "user-2", true},
		{"admin, the system's", admin, events.SystemStream, true},
		{"admin's narrowed token", narrow, "user-2", false},
	} {
		if got := SeesPersonal(&row.p, of(row.stream)); got != row.want {
			t.Errorf("%s: %v, want %v", row.name, got, row.want)
		}
	}
}

// TestEveryTypeIsJudged fails when a new type of event arrives that nobody has
// judged: add it to ChangesAccess, or to harmless here.
func TestEveryTypeIsJudged(t *testing.T) {
	t.Parallel()
	harmless := []string{
		"ticket_", "comment_", "column_", "board_created", "board_archived", "board_restored", "board_frozen", "board_unfrozen",
		"user_registered", "token_issued", "log_imported", "data_redacted", "dependency_", "checklist_", "evidence_", "approval_",
		"lease_", "usage_", "agent_", "webhook_", "commands_undone",
	}
	for _, typ := range events.Types() {
		judged := ChangesAccess(&events.Envelope{Type: typ})
		for _, prefix := range harmless {
			judged = judged || strings.HasPrefix(string(typ), prefix)
		}
		if !judged {
			t.Errorf("does %s change who may see what? Say so in ChangesAccess or here.", typ)
		}
	}
}
