package http

import (
	"fmt"
	"testing"
)

// TestCommandIDBelongsToOneCommand uses a command_id again for another command
// about the same ticket.
func TestCommandIDBelongsToOneCommand(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board()
	ann := a.user("ann", false)
	a.ticket(ann, id, "One")
	body := func(kind string) string {
		return fmt.Sprintf(`{"type":%q,"data":{"ticket":"WEB-1"},"command_id":"same"}`, kind)
	}
	a.do("POST", "/api/commands", ann, body("archive_ticket")).want(200)
	a.do("POST", "/api/commands", ann, body("archive_ticket")).want(200)
	a.do("POST", "/api/commands", ann, body("restore_ticket")).want(422)
	a.do("POST", "/api/commands", ann, body("delete_ticket")).want(422)
}

