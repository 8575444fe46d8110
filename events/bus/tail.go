package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/agent-kanban/agent-kanban/events"
)

// TailConfig is what a Tail needs. Only Log is required.
type TailConfig struct {
	Log events.Reader
	// Conn is where the stream tells of what other processes committed; nil
	// leaves that to the poll.
	Conn *nats.Conn
	// MaxEvents and MaxBytes bound the window, 8192 and 16 MiB when 0. Bytes
	// are those of the JSON form; decoded events take about three times that.
	MaxEvents, MaxBytes int
	// MaxBatch bounds what one Next returns, 1000 when 0.
	MaxBatch int
	// Poll is how often the log is asked for its head, 1 s when 0.
	Poll time.Duration
	// Logger, none when nil.
	Logger *slog.Logger
}

func (c TailConfig) withDefaults() TailConfig {
	c.MaxEvents = cmp.Or(c.MaxEvents, 8192)
	c.MaxBytes = cmp.Or(c.MaxBytes, 16<<20)
	c.MaxBatch = cmp.Or(c.MaxBatch, events.DefaultLimit)
	c.Poll = cmp.Or(c.Poll, time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c TailConfig) validate() error {
	var errs []error
	if c.Log == nil {
		errs = append(errs, errors.New("a Log is required"))
	}
	if c.MaxEvents < 0 || c.MaxBytes < 0 || c.MaxBatch < 0 || c.Poll < 0 {
		errs = append(errs, errors.New("limits must not be negative"))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("config of the tail: %w", err)
	}
	return nil
}

// Tail is the end of the log as this process knows it: the position of the
// newest event and a window of those before it. It is fed by whoever commits
// (Publish), and reads on in the table when the stream or the poll says that
// another process has committed. It is safe for concurrent use.
type Tail struct {
	config TailConfig
	hints  chan int64 // newest position somebody spoke of, see hint
	holes  holes

	life    sync.Mutex // Start and Stop
	cancel  context.CancelFunc
	tasks   sync.WaitGroup
	stopped bool

	mu      sync.Mutex
	window  window
	changed chan struct{} // closed when head grows; nil while nobody waits
}

// NewTail checks the config. Nothing runs before Start, but Publish and
// Subscribe work.
func NewTail(config TailConfig) (*Tail, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	return &Tail{
		config: config,
		hints:  make(chan int64, 1),
		window: window{maxEvents: config.MaxEvents, maxBytes: config.MaxBytes},
	}, nil
}

// Start reads the head of the log and follows what other processes commit until
// Stop; ctx is for the start only.
func (t *Tail) Start(ctx context.Context) error {
	t.life.Lock()
	defer t.life.Unlock()
	if t.stopped {
		return ErrStopped
	}
	if t.cancel != nil {
		return errors.New("start tail: already running")
	}
	head, err := t.config.Log.Head(ctx)
	if err != nil {
		return fmt.Errorf("start tail: %w", err)
	}
	t.jump(head.Position)
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	t.cancel = cancel
	t.tasks.Go(func() { t.follow(run) })
	if t.config.Conn != nil {
		t.tasks.Go(func() { t.listen(run) })
	}
	return nil
}

// Stop ends what Start began and waits for it. Publish and Subscribe go on
// working: what is committed last still has to reach those who flush. It is
// safe before Start and twice.
func (t *Tail) Stop() {
	t.life.Lock()
	defer t.life.Unlock()
	t.stopped = true
	if t.cancel != nil {
		t.cancel()
	}
	t.tasks.Wait()
}

// Publish hands over what was just committed: contiguous, prepared envelopes,
// which it copies into the window. What is known already is skipped; a gap
// before the batch is left to the table. It never waits for a subscription.
func (t *Tail) Publish(batch []events.Envelope) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if hasRedaction(batch) {
		t.window.clear() // it holds events as they were before; the table does not
	}
	if t.window.add(batch) {
		t.wake()
	}
}

// Head returns the newest known position: everything up to it is committed.
func (t *Tail) Head() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.window.head
}

// Holes returns how many messages the stream failed to deliver while this
// process listened to it. They were read from the table.
func (t *Tail) Holes() int64 { return t.holes.count.Load() }

// Subscribe returns a cursor that stands behind position after (0 = before the
// first event, Head() = only what is new). It holds no resources.
func (t *Tail) Subscribe(after int64) *Subscription {
	return &Subscription{tail: t, last: max(0, after)}
}

// jump moves the head to a position whose events are only in the table.
func (t *Tail) jump(position int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.window.jump(position) {
		t.wake()
	}
}

func (t *Tail) wake() {
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}

// take returns the events after position that are in the window. Otherwise
// exactly one of the others says why not: inTable that they are in the table,
// and wait is closed when there is news.
func (t *Tail) take(position int64) (batch []events.Envelope, inTable bool, wait <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if position >= t.window.head {
		if t.changed == nil {
			t.changed = make(chan struct{})
		}
		return nil, false, t.changed
	}
	batch = t.window.after(position, t.config.MaxBatch)
	return batch, batch == nil, nil
}

// hint notes that somebody spoke of position. It never blocks: only the highest
// one matters, and follow asks the table anyway.
func (t *Tail) hint(position int64) {
	for {
		select {
		case t.hints <- position:
			return
		case old := <-t.hints:
			position = max(position, old)
		}
	}
}

// follow reads on in the table when a hint or the poll gives reason to.
func (t *Tail) follow(ctx context.Context) {
	poll := time.NewTicker(t.config.Poll)
	defer poll.Stop()
	failing := false
	for {
		position, polled := int64(0), false
		select {
		case <-ctx.Done():
			return
		case position = <-t.hints:
		case <-poll.C:
			polled = true
		}
		if !polled && position <= t.Head() {
			continue
		}
		err := t.readOn(ctx)
		switch {
		case err != nil && ctx.Err() == nil && !failing:
			t.config.Logger.Warn("tail cannot read the log", "error", err, "position", t.Head())
		case err == nil && failing:
			t.config.Logger.Info("tail reads the log again", "position", t.Head())
		}
		failing = err != nil
	}
}

// readOn brings the window up to the table's head.
func (t *Tail) readOn(ctx context.Context) error {
	head, err := t.config.Log.Head(ctx)
	if err != nil {
		return err
	}
	if head.Position-t.Head() > int64(t.config.MaxEvents) {
		// An import, or a long absence: more than the window holds.
		t.jump(head.Position)
		return nil
	}
	for known := t.Head(); known < head.Position; known = t.Head() {
		page, err := t.config.Log.Read(ctx, events.Query{After: known, Limit: t.config.MaxBatch})
		if err != nil {
			return err
		}
		if err := contiguous(page, known); err != nil {
			return err
		}
		for i := range page {
			page[i].Prepare()
		}
		t.Publish(page)
	}
	return nil
}

// contiguous checks what the table returned for the positions after known.
func contiguous(page []events.Envelope, known int64) error {
	if len(page) == 0 {
		return fmt.Errorf("read position %d: %w", known+1, ErrMissing)
	}
	for i := range page {
		if want := known + 1 + int64(i); page[i].Position != want {
			return fmt.Errorf("read position %d: found %d instead: %w", want, page[i].Position, ErrMissing)
		}
	}
	return nil
}
