package projections

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/agent-kanban/agent-kanban/events"
)

// errRedaction ends a transaction before a redaction is applied.
var errRedaction = errors.New("data was redacted")

// hasRedaction reports whether a batch redacts something, behind a position.
func hasRedaction(batch []events.Envelope, after int64) bool {
	return slices.ContainsFunc(batch, func(e events.Envelope) bool {
		return e.Type == events.TypeDataRedacted && e.Position > after
	})
}

// remake makes every row anew from the log as it is after a redaction: what was
// removed is in rows of many tables, in lines of history, under other names, and
// a fold of the emptied events is what the rows must equal anyway. The rows of
// before serve meanwhile, so the watermark passes the redaction only when nothing
// of it is left in them. After a crash the checkpoint is before the redaction,
// and it is done again.
func (r *Runner) remake(ctx context.Context) error {
	r.turn.Lock()
	defer r.turn.Unlock()
	from := r.position
	r.config.Logger.Info("data was redacted: the read model is made anew", "position", from)
	// Statements know the tables as they were.
	if r.views != nil {
		if err := errors.Join(r.move.Close(), r.views.close()); err != nil {
			return fmt.Errorf("after a redaction: %w", err)
		}
		r.views = nil
	}
	done, err := Rebuild(ctx, RebuildConfig{DB: r.config.DB, Update: r.config.Update, Log: r.config.Log})
	// The Runner needs its statements even where the rebuild failed.
	again := r.statements(context.WithoutCancel(ctx))
	if err := errors.Join(err, again); err != nil {
		return fmt.Errorf("after a redaction: %w", err)
	}
	clear(r.lanes)
	clear(r.poison)
	r.position = done.Position
	r.status.commit(&outcome{position: done.Position, applied: max(0, done.Position-from)}, r.lanes)
	r.config.Watermark.Advance(done.Position)
	r.config.Logger.Info("the read model was made anew", "events", done.Position)
	return nil
}
