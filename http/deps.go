package http

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/webhook"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// Deps is everything the server stands on. All of it but Webhooks and MCP is
// required.
type Deps struct {
	Commands  Commands
	Queries   *readmodel.Queries
	Auth      *auth.Service
	Setup     Setup
	Log       events.Reader
	Watermark Watermark
	Timeline  Timeline
	// Webhooks sends events to addresses outside; nil = its routes are not there.
	Webhooks *webhook.Dispatcher
	// Clean waits until nothing is left of what was redacted up to a position: in
	// copies of the log and in files. nil = there is nothing besides the log.
	Clean func(ctx context.Context, position int64) error
	// Subscribe returns a cursor that starts after a position.
	Subscribe func(after int64) Subscription
	// MCP makes the handler of /mcp and of its metadata; nil = there is none. api
	// is the whole server, so that tools go through the same door as everybody.
	MCP func(api http.Handler) http.Handler
}

func (d Deps) validate() error {
	var errs []error
	need := func(name string, missing bool) {
		if missing {
			errs = append(errs, errors.New(name+" is missing"))
		}
	}
	need("Commands", d.Commands == nil)
	need("Queries", d.Queries == nil)
	need("Auth", d.Auth == nil)
	need("Setup", d.Setup == nil)
	need("Log", d.Log == nil)
	need("Watermark", d.Watermark == nil)
	need("Timeline", d.Timeline == nil)
	need("Subscribe", d.Subscribe == nil)
	return errors.Join(errs...)
}

// Setup guards the registration of the first admin.
type Setup interface {
	// Use runs register if token is the setup token, and uses the token up when
	// register succeeds. CodeForbidden for a wrong or used token.
	Use(token string, register func() error) error
}

var _ Setup = (*auth.Setup)(nil)

// Commands is the write side.
type Commands interface {
	// Do carries out the commands, all or none. It returns *events.Error for a
	// refusal.
	Do(ctx context.Context, meta commands.Meta, cmds ...commands.Command) (commands.Receipt, error)
}

// Watermark says how far the read model is.
type Watermark interface {
	// Position is the last one that queries can see.
	Position() int64
	// Wait blocks until Position is at least pos, or returns ctx's error.
	Wait(ctx context.Context, pos int64) error
}

// Subscription is a cursor over the log.
type Subscription interface {
	// Next returns the next contiguous, non-empty batch, blocking until there
	// is one; it returns ctx's error when cancelled. Batches are shared.
	Next(ctx context.Context) ([]events.Envelope, error)
}

// Timeline answers what was.
type Timeline interface {
	// BoardAt returns a board as of a position, or as of a time where that is
	// not zero. It returns CodeNotFound where the board was not there.
	BoardAt(ctx context.Context, board, position int64, until time.Time) (readmodel.Snapshot, error)
	// TicketAt returns a ticket as of a position, archived or not.
	TicketAt(ctx context.Context, board, ticket, position int64) (readmodel.Ticket, error)
}
