package client

import (
	"context"
	"net/http"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
)

// Redaction says what Redact did, or would do.
type Redaction struct {
	Target string                  `json:"target"`
	DryRun bool                    `json:"dry_run"`
	Events []commands.RedactedItem `json:"events"`
	// Names and OldNames are filled in by a dry run: events whose actor's name
	// goes, and events that keep it because an older version wrote them.
	Names    int64 `json:"names"`
	OldNames int64 `json:"old_names"`
	More     bool  `json:"more"` // ask again
	Position int64 `json:"position"`
	// Clean says that nothing is left anywhere on the server; Left why not.
	Clean bool   `json:"clean"`
	Left  string `json:"left,omitempty"`
}

// Redact takes texts or a person's name out of the log for good; with dryRun it
// only says what that would be. It returns when nothing is left on the server,
// which takes minutes where the log is long. CodeForbidden for all but admins.
func (c *Client) Redact(ctx context.Context, cmd commands.Redact, dryRun bool) (Redaction, error) {
	body := struct {
		commands.Redact
		DryRun bool `json:"dry_run,omitempty"`
	}{cmd, dryRun}
	var out Redaction
	err := c.do(ctx, request{method: http.MethodPost, path: join("api", "redactions"), body: body, waits: 10 * time.Minute}, &out)
	return out, err
}
