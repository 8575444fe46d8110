package webhook

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

func TestGoneSwitchesOff(t *testing.T) {
	t.Parallel()
	h := setup(t)
	r := receive(t, status(http.StatusGone))
	hook := h.add(r.url, 0, events.TypeTicketCreated)
	position := h.ticket(h.board, "last")
	r.next()
	e := h.awaitEvent(position, events.TypeWebhookUpdated)
	if e.Actor != events.SystemActor || !strings.Contains(string(e.Data), `"active":false`) || strings.Contains(string(e.Data), "T0PS3CRET") {
		t.Errorf("event: got %s by %v, want active false by the system, without the address", e.Data, e.Actor)
	}
	w := h.get(hook.ID)
	if w.Active || !strings.Contains(w.OffReason, "410") || w.Cursor >= position || w.DeadLetters != 0 {
		t.Errorf("row: got %+v; want off because of 410, the event not passed", w)
	}
	// Switched on again it goes on with that event.
	r.answers(nil)
	on := true
	h.change(hook.ID, commands.UpdateWebhook{Active: &on}, Change{Active: &on})
	if m := r.next(); m.id() != h.envelope(position).ID {
		t.Errorf("switched on: got %s, want the event at %d", m.body, position)
	}
	h.awaitCursor(hook.ID, position)
	if w := h.get(hook.ID); !w.Active || w.OffReason != "" {
		t.Errorf("row after it was switched on: active %v, reason %q", w.Active, w.OffReason)
	}
}

func TestTooManyDeadLettersSwitchOff(t *testing.T) {
	t.Parallel()
	h := setup(t, tries(), func(c *Config) { c.MaxGaveUp = 3 })
	r := receive(t, status(500))
	hook := h.add(r.url, 0, events.TypeTicketCreated)
	var last int64
	for range 5 {
		last = h.ticket(h.board, "x")
	}
	h.awaitEvent(last-5, events.TypeWebhookUpdated)
	w := h.get(hook.ID)
	if w.Active || !strings.Contains(w.OffReason, "3 events in a row") || w.DeadLetters != 3 || len(r.got) != 3 {
		t.Errorf("got active %v, %q, %d dead letters, %d attempts; want off after 3", w.Active, w.OffReason, w.DeadLetters, len(r.got))
	}
	h.d.Stop() // it says so after the event
	if got := h.d.Status().SwitchedOff; got != 1 || !strings.Contains(h.logs.String(), "webhook was switched off") {
		t.Errorf("switched off: counted %d, want 1; the log says:\n%s", got, h.logs)
	}
}

func TestSecretRotation(t *testing.T) {
	t.Parallel()
	h := setup(t)
	r := receive(t, nil)
	hook := h.add(r.url, 0, events.TypeTicketCreated)
	fresh := NewSecret()
	h.change(hook.ID, commands.UpdateWebhook{Touched: true}, Change{Secret: fresh})
	h.ticket(h.board, "both")
	m := r.next()
	if err := errors.Join(verify(t, hook.Secret, m), verify(t, fresh, m)); err != nil {
		t.Errorf("within a day both secrets sign: %v", err)
	}
	_ = h.clock.sleep(t.Context(), KeepOld)
	h.ticket(h.board, "new alone")
	m = r.next()
	old, _ := standardwebhooks.NewWebhook(hook.Secret.Reveal())
	now, _ := standardwebhooks.NewWebhook(fresh.Reveal())
	if err := now.VerifyIgnoringTimestamp(m.body, m.header); err != nil {
		t.Errorf("the new secret after a day: %v", err)
	}
	if err := old.VerifyIgnoringTimestamp(m.body, m.header); err == nil {
		t.Error("the old secret still signs after a day")
	}
}

func TestEndOfABoard(t *testing.T) {
	t.Parallel()
	h := setup(t)
	all, some, off := receive(t, nil), receive(t, nil), receive(t, nil)
	hooks := []Webhook{h.add(all.url, 0), h.add(some.url, 0, events.TypeTicketMoved), h.add(off.url, 0)}
	inactive := false
	h.change(hooks[2].ID, commands.UpdateWebhook{Active: &inactive}, Change{Active: &inactive})
	h.do(commands.DeleteBoard{Board: commands.RefID(h.board)})
	for last := ""; last != string(events.TypeBoardDeleted); {
		last = string(h.typeOf(all.next()))
	}
	gone := map[int64]bool{}
	h.await("all removed", func(w Webhook) bool {
		if w.Board == 0 {
			gone[w.ID] = true
		}
		return len(gone) == 3
	})
	list, err := h.d.List(t.Context(), h.board)
	h.must(err)
	if len(list) != 0 || len(some.got) != 0 {
		t.Errorf("got %d webhooks and %d unwanted messages, want none", len(list), len(some.got))
	}
}

// TestEndOfABoardWhileStopped: what was off is found at the start.
func TestEndOfABoardWhileStopped(t *testing.T) {
	t.Parallel()
	h := setup(t)
	hook := h.add("http://127.0.0.1:1/", 0)
	inactive := false
	h.change(hook.ID, commands.UpdateWebhook{Active: &inactive}, Change{Active: &inactive})
	h.d.Stop()
	h.do(commands.DeleteBoard{Board: commands.RefID(h.board)})
	h.open()
	h.await("the removal", func(w Webhook) bool { return w.ID == hook.ID && w.Board == 0 })
}

func (h *house) typeOf(m message) events.Type {
	h.t.Helper()
	for e, err := range events.All(h.t.Context(), h.db, events.Query{}) {
		h.must(err)
		if e.ID == m.id() {
			return e.Type
		}
	}
	h.t.Fatalf("no such event: %s", m.body)
	return ""
}

func TestRemovedWhileRetrying(t *testing.T) {
	t.Parallel()
	waiting := make(chan struct{}, 10)
	h := setup(t, func(c *Config) {
		c.Sleep = func(ctx context.Context, _ time.Duration) error {
			waiting <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}
	})
	r := receive(t, status(500))
	hook := h.add(r.url, 0)
	h.ticket(h.board, "x")
	<-waiting
	h.with(commands.RemoveWebhook{Board: commands.RefID(h.board), WebhookID: hook.ID}, func(ctx context.Context, tx *sql.Tx) error {
		return h.d.Remove(ctx, tx, hook.ID)
	})
	h.d.Reload(h.board, hook.ID)
	h.d.Stop() // waits for it
	if _, err := h.d.Get(t.Context(), h.board, hook.ID); events.CodeOf(err) != events.CodeNotFound {
		t.Errorf("removed: got %v, want not_found", err)
	}
}

// TestLateResultsAreDropped: an attempt that ends after the webhook was changed
// does not overwrite the change.
func TestLateResultsAreDropped(t *testing.T) {
	t.Parallel()
	h := setup(t)
	h.d.Stop()
	hook := h.add("http://127.0.0.1:1/", 0)
	row := h.get(hook.ID)
	h.change(hook.ID, commands.UpdateWebhook{}, Change{From: 1})
	if err := h.d.delivered(t.Context(), &row, 99, 200); !errors.Is(err, errStale) {
		t.Errorf("late success: got %v, want errStale", err)
	}
	if got := h.get(hook.ID).Cursor; got != 0 {
		t.Errorf("cursor: got %d, want 0 as it was changed", got)
	}
}
