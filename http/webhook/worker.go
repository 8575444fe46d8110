package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/agent-kanban/agent-kanban/events"
)

const (
	// pageSize is how many events a webhook reads at once.
	pageSize = 50
	// skipped is how many positions a cursor may stay behind events that are not
	// for the webhook, before that is written down: a restart passes over them.
	skipped = 10_000
	// errorPause is the wait after the database failed.
	errorPause = 5 * time.Second
)

// worker is the goroutine of one webhook.
type worker struct {
	d         *Dispatcher
	id, board int64
	wake      chan struct{} // there may be more in the log
	failing   atomic.Bool

	// Guarded by the dispatcher's mu. cancel ends the session; changed makes
	// another one follow, on the row as it then is.
	cancel  context.CancelFunc
	changed bool
}

// rouse never blocks: one wake-up is as good as many.
func (w *worker) rouse() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// errDone ends a worker: the webhook is off or gone.
var errDone = errors.New("nothing more to send")

func (w *worker) run() {
	d := w.d
	for {
		d.mu.Lock()
		ctx, cancel := context.WithCancel(d.ctx)
		w.cancel, w.changed = cancel, false
		d.mu.Unlock()
		err := w.session(ctx)
		if err != nil && !errors.Is(err, errDone) && !errors.Is(err, errStale) && ctx.Err() == nil {
			d.cfg.Logger.Error("webhook cannot go on; it is tried again", "webhook", w.id, "board", w.board, "error", err)
			_ = d.cfg.Sleep(ctx, errorPause)
		}
		cancel()
		d.mu.Lock()
		if d.ctx.Err() != nil || errors.Is(err, errDone) && !w.changed {
			delete(d.workers, w.id)
			d.mu.Unlock()
			return
		}
		d.mu.Unlock()
	}
}

// session sends what is due on the row as it is now, until it is changed.
func (w *worker) session(ctx context.Context) error {
	hook, err := w.d.byID(ctx, w.id)
	switch {
	case events.CodeOf(err) == events.CodeNotFound:
		return errDone
	case err != nil:
		return err
	case !hook.Active:
		return errDone
	}
	w.failing.Store(hook.LastError != "")
	if err := w.enough(ctx, &hook); err != nil {
		return err
	}
	if err := w.replay(ctx, &hook); err != nil {
		return err
	}
	for {
		seen := w.d.seen.Load()
		page, err := w.d.cfg.Log.Read(ctx, w.query(&hook))
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		for i := range page {
			if err := w.pass(ctx, &hook, &page[i]); err != nil {
				return err
			}
		}
		if len(page) > 0 {
			continue
		}
		if seen-hook.Cursor >= skipped {
			if err := w.d.skip(ctx, &hook, seen); err != nil {
				return err
			}
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// query asks for what comes next; the end of the board always.
func (w *worker) query(hook *Webhook) events.Query {
	q := events.Query{BoardID: hook.Board, After: hook.Cursor, Limit: pageSize}
	if len(hook.Types) > 0 {
		q.Types = append(append(q.Types, hook.Types...), events.TypeBoardDeleted)
	}
	return q
}

// pass brings the cursor past an event: sent, or given up.
func (w *worker) pass(ctx context.Context, hook *Webhook, e *events.Envelope) error {
	ended := e.Type == events.TypeBoardDeleted
	if hook.wants(e.Type) {
		err := w.deliver(ctx, hook, e)
		if err != nil && (!ended || !errors.Is(err, errDone)) {
			return err
		}
	}
	if ended {
		if err := w.d.drop(ctx, w.id); err != nil {
			return err
		}
		return errDone
	}
	return nil
}

func (w *worker) deliver(ctx context.Context, hook *Webhook, e *events.Envelope) error {
	d := w.d
	for {
		if wait := hook.NextAttempt.Sub(d.cfg.Now()); hook.Attempts > 0 && wait > 0 {
			if err := d.cfg.Sleep(ctx, wait); err != nil {
				return err
			}
		}
		out := d.sender.send(ctx, hook.URL, hook.signers(d.cfg.Now()), e.ID, e.JSON())
		if ctx.Err() != nil {
			return ctx.Err() // not the receiver's fault
		}
		w.failing.Store(!out.OK())
		if out.OK() {
			d.counts.delivered.Add(1)
			return d.delivered(ctx, hook, e.Position, out.Status)
		}
		d.counts.failed.Add(1)
		d.cfg.Logger.Info("webhook attempt failed", "webhook", w.id, "board", w.board, "position", e.Position, "attempt", hook.Attempts+1, "status", out.Status)
		if out.Status == http.StatusGone {
			return w.switchOff(ctx, "the receiver answered 410 Gone")
		}
		if hook.Attempts >= len(d.cfg.Backoff) {
			if err := d.giveUp(ctx, hook, e, out); err != nil {
				return err
			}
			d.counts.gaveUp.Add(1)
			d.cfg.Logger.Warn("webhook gave an event up", "webhook", w.id, "board", w.board, "position", e.Position, "status", out.Status)
			return w.enough(ctx, hook)
		}
		wait := max(d.cfg.Jitter(d.cfg.Backoff[hook.Attempts]), out.RetryAfter)
		if err := d.failed(ctx, hook, out, d.cfg.Now().Add(wait)); err != nil {
			return err
		}
	}
}

// enough switches a webhook off that has been told nothing for long.
func (w *worker) enough(ctx context.Context, hook *Webhook) error {
	if hook.GaveUp < w.d.cfg.MaxGaveUp {
		return nil
	}
	return w.switchOff(ctx, fmt.Sprintf("%d events in a row could not be delivered", hook.GaveUp))
}

// switchOff ends the worker by the event that says why.
func (w *worker) switchOff(ctx context.Context, reason string) error {
	d := w.d
	// The event makes follow end this session before SwitchOff has returned.
	err := d.cfg.SwitchOff(context.WithoutCancel(ctx), w.board, w.id, reason)
	switch {
	case events.CodeOf(err) == events.CodeNotFound: // the board is gone, or the webhook
		if err := d.drop(ctx, w.id); err != nil {
			return err
		}
	case err != nil:
		return fmt.Errorf("switch off: %w", err)
	default:
		d.counts.switchedOff.Add(1)
		d.cfg.Logger.Warn("webhook was switched off", "webhook", w.id, "board", w.board, "reason", reason)
	}
	return errDone
}

// replay makes one attempt at each dead letter that was asked for.
func (w *worker) replay(ctx context.Context, hook *Webhook) error {
	d := w.d
	for {
		letter, found, err := d.nextQueued(ctx, w.id)
		if err != nil || !found {
			return err
		}
		page, err := d.cfg.Log.Read(ctx, events.Query{After: letter.Position - 1, UpTo: letter.Position})
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		out := Outcome{Error: "the log has no such event of this board"}
		if len(page) == 1 && page[0].BoardID == hook.Board {
			e := &page[0]
			out = d.sender.send(ctx, hook.URL, hook.signers(d.cfg.Now()), e.ID, e.JSON())
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		w.failing.Store(!out.OK())
		if out.OK() {
			d.counts.delivered.Add(1)
		} else {
			d.counts.failed.Add(1)
		}
		if err := d.replayed(ctx, hook, letter, out); err != nil {
			return err
		}
		if out.Status == http.StatusGone {
			return w.switchOff(ctx, "the receiver answered 410 Gone")
		}
	}
}

// testEvent is what Test sends: like an event, but of no place in the log.
type testEvent struct {
	SpecVersion string    `json:"specversion"`
	ID          string    `json:"id"`
	Source      string    `json:"source"`
	Type        string    `json:"type"`
	Subject     string    `json:"subject"`
	Time        time.Time `json:"time"`
	ContentType string    `json:"datacontenttype"`
	Board       int64     `json:"board_id"`
	Data        struct {
		Webhook int64 `json:"webhook_id"`
	} `json:"data"`
}

// TestType is the type of what Test sends.
const TestType = "webhook_test"

// Test makes one attempt, at once, with a message of its own, whether the webhook
// is active or not; nothing of it is kept. CodeRateLimited says that too many are
// under way.
func (d *Dispatcher) Test(ctx context.Context, hook *Webhook) (Outcome, error) {
	select {
	case d.tests <- struct{}{}:
		defer func() { <-d.tests }()
	default:
		return Outcome{}, &events.Error{Code: events.CodeRateLimited, Message: "Other webhooks are being tested right now. Try again in a moment.", RetryAfter: 5 * time.Second}
	}
	now := d.cfg.Now()
	e := testEvent{
		SpecVersion: "1.0", ID: uuid.Must(uuid.NewV7()).String(), Source: fmt.Sprintf("/boards/%d", hook.Board), Type: TestType,
		Subject: fmt.Sprintf("webhook/%d", hook.ID), Time: now.UTC().Truncate(time.Microsecond), ContentType: "application/json", Board: hook.Board,
	}
	e.Data.Webhook = hook.ID
	body, err := json.Marshal(e)
	if err != nil {
		return Outcome{}, fmt.Errorf("test webhook %d: %w", hook.ID, err)
	}
	out := d.sender.send(ctx, hook.URL, hook.signers(now), e.ID, body)
	return out, ctx.Err()
}
