package webhook

import (
	"context"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// Backoff are the waits after the first, second, … failed attempt: an event is
// given up after about eleven hours.
var Backoff = []time.Duration{
	5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour,
}

// Log is where the events are read.
type Log interface {
	// Head returns the end of the log.
	Head(ctx context.Context) (events.Head, error)
	// Read returns one page of what matches.
	Read(ctx context.Context, q events.Query) ([]events.Envelope, error)
}

// Subscription is a cursor over the log.
type Subscription interface {
	// Next returns the next contiguous, non-empty batch, blocking until there
	// is one; it returns ctx's error when cancelled. Batches are shared.
	Next(ctx context.Context) ([]events.Envelope, error)
}

// Config is what a Dispatcher needs. Reader, DB, Log, Subscribe and SwitchOff are
// required; zero fields take the defaults named beside them.
type Config struct {
	Reader *sql.DB // for queries
	DB     Updater
	Log    Log
	// Subscribe returns a cursor that starts after a position.
	Subscribe func(after int64) Subscription
	// SwitchOff records the event that a webhook is off, with Store.SwitchOff in
	// its transaction. CodeNotFound says that the board is gone.
	SwitchOff func(ctx context.Context, board, id int64, reason string) error

	Allow     Allow           // targets that may be private or without TLS; none
	Backoff   []time.Duration // Backoff of this package
	MaxGaveUp int             // 20; dead letters in a row that switch a webhook off
	UserAgent string          // "Agent-Kanban-Webhook"
	Logger    *slog.Logger    // discards

	// For tests: the clock, waiting, the spread of waits, names and roots.
	Now      func() time.Time                                 // time.Now
	Sleep    func(ctx context.Context, d time.Duration) error // a timer
	Jitter   func(d time.Duration) time.Duration              // 0.8 to 1.2 of d
	Resolver *net.Resolver                                    // the system's
	RootCAs  *x509.CertPool                                   // the system's
	saved    func(w Webhook)                                  // told of every row the dispatcher wrote
}

func (c Config) withDefaults() Config {
	if c.Backoff == nil {
		c.Backoff = Backoff
	}
	if c.MaxGaveUp == 0 {
		c.MaxGaveUp = 20
	}
	if c.UserAgent == "" {
		c.UserAgent = "Agent-Kanban-Webhook"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Sleep == nil {
		c.Sleep = sleep
	}
	if c.saved == nil {
		c.saved = func(Webhook) {}
	}
	if c.Jitter == nil {
		// Receivers that were down together are not all called at once.
		c.Jitter = func(d time.Duration) time.Duration { return d*4/5 + rand.N(d*2/5+1) }
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	for name, missing := range map[string]bool{
		"Reader": c.Reader == nil, "DB": c.DB == nil, "Log": c.Log == nil, "Subscribe": c.Subscribe == nil, "SwitchOff": c.SwitchOff == nil,
	} {
		if missing {
			errs = append(errs, errors.New(name+" is missing"))
		}
	}
	return errors.Join(errs...)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Dispatcher sends the events. It has one goroutine per active webhook, so that
// one that fails delays no other, and one that follows the log and wakes them.
type Dispatcher struct {
	*Store
	cfg    Config
	sender *sender
	tests  chan struct{} // bounds Test

	// seen is the position up to which the log was looked at.
	seen   atomic.Int64
	counts counts

	mu      sync.Mutex
	workers map[int64]*worker
	ctx     context.Context // of everything that Start began; nil before
	halt    context.CancelFunc
	stopped bool
	tasks   sync.WaitGroup
}

// counts are of this process.
type counts struct{ delivered, failed, gaveUp, switchedOff atomic.Int64 }

// Status is how the dispatcher does, for health and metrics. Counters are since
// the start of the process.
type Status struct {
	Active      int   // webhooks with a goroutine
	Failing     int   // of these, whose last attempt failed
	Delivered   int64 // events
	Failed      int64 // attempts
	GaveUp      int64 // events that became dead letters
	SwitchedOff int64 // webhooks
	Position    int64 // of the log, up to which the dispatcher has looked at it
}

// New checks the configuration. Nothing runs before Start, but the Store works.
func New(cfg Config) (*Dispatcher, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("webhooks: %w", err)
	}
	return &Dispatcher{
		Store: &Store{reader: cfg.Reader, db: cfg.DB, now: cfg.Now, saved: cfg.saved},
		cfg:   cfg, sender: newSender(cfg), tests: make(chan struct{}, 4), workers: map[int64]*worker{},
	}, nil
}

// Start sends what is due and follows the log until Stop; ctx is for the start
// only.
func (d *Dispatcher) Start(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ctx != nil || d.stopped {
		return errors.New("start webhooks: started or stopped before")
	}
	head, err := d.cfg.Log.Head(ctx)
	if err != nil {
		return fmt.Errorf("start webhooks: %w", err)
	}
	hooks, err := d.list(ctx, `ORDER BY id`)
	if err != nil {
		return fmt.Errorf("start webhooks: %w", err)
	}
	d.ctx, d.halt = context.WithCancel(context.WithoutCancel(ctx))
	d.seen.Store(head.Position)
	sub := d.cfg.Subscribe(head.Position)
	d.tasks.Go(func() { d.follow(d.ctx, sub) })
	for i := range hooks {
		if hooks[i].Active {
			d.begin(hooks[i].ID, hooks[i].Board)
		}
	}
	d.tasks.Go(func() { d.forget(d.ctx, hooks) })
	return nil
}

// Stop ends the attempts under way, which are made again after the next start,
// and waits. It is safe before Start and twice.
func (d *Dispatcher) Stop() {
	d.mu.Lock()
	d.stopped = true
	if d.halt != nil {
		d.halt()
	}
	d.mu.Unlock()
	d.tasks.Wait()
	d.sender.close()
}

// Status says how it goes.
func (d *Dispatcher) Status() Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := Status{
		Active: len(d.workers), Delivered: d.counts.delivered.Load(), Failed: d.counts.failed.Load(),
		GaveUp: d.counts.gaveUp.Load(), SwitchedOff: d.counts.switchedOff.Load(), Position: d.seen.Load(),
	}
	for _, w := range d.workers {
		if w.failing.Load() {
			s.Failing++
		}
	}
	return s
}

// Check refuses an address that no event may go to and returns its host; see
// Allow.Check.
func (d *Dispatcher) Check(address string) (host string, err error) {
	return d.cfg.Allow.Check(address)
}

// Reload makes the dispatcher look at a webhook again that was changed, or for
// which dead letters were queued. Changes that an event records, of other
// processes too, are noticed without it, a moment later.
func (d *Dispatcher) Reload(board, id int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ctx == nil || d.stopped {
		return
	}
	if w := d.workers[id]; w != nil {
		w.changed = true
		w.cancel()
		return
	}
	d.begin(id, board)
}

// begin starts the goroutine of a webhook; it ends at once where that is off. The
// caller holds mu.
func (d *Dispatcher) begin(id, board int64) {
	w := &worker{d: d, id: id, board: board, wake: make(chan struct{}, 1), cancel: func() {}}
	d.workers[id] = w
	d.tasks.Go(w.run)
}

// follow wakes the webhooks of the boards that something happened on.
func (d *Dispatcher) follow(ctx context.Context, sub Subscription) {
	failing := false
	for {
		batch, err := sub.Next(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			if !failing {
				d.cfg.Logger.Warn("webhooks cannot follow the log", "error", err)
			}
			failing = true
			_ = d.cfg.Sleep(ctx, time.Second)
			continue
		}
		failing = false
		d.notice(ctx, batch)
	}
}

func (d *Dispatcher) notice(ctx context.Context, batch []events.Envelope) {
	d.seen.Store(batch[len(batch)-1].Position)
	boards := map[int64]bool{}
	for i := range batch {
		e := &batch[i]
		if e.BoardID == 0 {
			continue
		}
		boards[e.BoardID] = true
		switch e.Type {
		case events.TypeWebhookAdded, events.TypeWebhookUpdated, events.TypeWebhookRemoved:
			if id := webhookOf(e); id != 0 {
				d.Reload(e.BoardID, id)
			}
		case events.TypeBoardDeleted:
			// Those that are off have no goroutine to see it.
			if hooks, err := d.List(ctx, e.BoardID); err == nil {
				d.forget(ctx, hooks)
			}
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.workers {
		if boards[w.board] {
			w.rouse()
		}
	}
}

// webhookOf returns the id in a fact about a webhook, 0 where it was redacted.
func webhookOf(e *events.Envelope) int64 {
	fact, err := e.Payload()
	if err != nil {
		return 0
	}
	switch f := fact.(type) {
	case events.WebhookAdded:
		return f.WebhookID
	case events.WebhookUpdated:
		return f.WebhookID
	case events.WebhookRemoved:
		return f.WebhookID
	default: // no other fact is asked about
		return 0
	}
}

// forget drops webhooks that are off and whose board is gone. One that fails is
// looked at again at the next start: nobody can see it meanwhile.
func (d *Dispatcher) forget(ctx context.Context, hooks []Webhook) {
	for i := range hooks {
		w := &hooks[i]
		if w.Active {
			continue
		}
		page, err := d.cfg.Log.Read(ctx, events.Query{BoardID: w.Board, After: w.Cursor, Types: []events.Type{events.TypeBoardDeleted}, Limit: 1})
		if err == nil && len(page) > 0 {
			err = d.drop(ctx, w.ID)
		}
		if err != nil && ctx.Err() == nil {
			d.cfg.Logger.Warn("a webhook of a deleted board could not be removed", "webhook", w.ID, "board", w.Board, "error", err)
		}
	}
}

// Settled returns the position up to which the webhook has nothing more to send:
// the end of the log, or its cursor where something waits. Give it to Apply with
// new types, so that these do not reach into what was not wanted before.
func (d *Dispatcher) Settled(ctx context.Context, w *Webhook) (int64, error) {
	head, err := d.cfg.Log.Head(ctx)
	if err != nil {
		return 0, fmt.Errorf("settle webhook %d: %w", w.ID, err)
	}
	page, err := d.cfg.Log.Read(ctx, events.Query{BoardID: w.Board, After: w.Cursor, UpTo: head.Position, Types: slices.Clone(w.Types), Limit: 1})
	switch {
	case err != nil:
		return 0, fmt.Errorf("settle webhook %d: %w", w.ID, err)
	case len(page) > 0:
		return w.Cursor, nil
	default:
		return max(w.Cursor, head.Position), nil
	}
}
