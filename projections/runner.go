package projections

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// Subscription delivers the log from where it starts: Next blocks, then returns
// the contiguous, non-empty batch that follows the one before. Batches are
// shared and must not be changed.
type Subscription interface {
	// Next returns the error of ctx when that ends.
	Next(ctx context.Context) ([]events.Envelope, error)
	// Pending reports whether Next would return at once.
	Pending() bool
}

// Config is what a Runner needs. Fields without a default are required.
type Config struct {
	// DB is the pool that the transactions of Update come from; statements are
	// prepared on it.
	DB        *sql.DB
	Update    UpdateFunc
	Log       events.Reader
	Subscribe func(after int64) Subscription
	Watermark *Watermark
	// Logger, none when nil.
	Logger *slog.Logger
	// MaxBatch is the number of events at which a transaction takes no further
	// batch, 1000 when 0.
	MaxBatch int
	// Attempts is how often an event is tried before it is parked, 4 when 0.
	Attempts int
	// Backoff is the wait before the second attempt, which doubles up to 5 s;
	// 20 ms when 0.
	Backoff time.Duration

	// Applied is told of the batches of every committed transaction and when it
	// began; nobody when nil. It must not keep or change them.
	Applied func(batches [][]events.Envelope, began time.Time)

	// wrap stands between the Runner and the projectors in tests.
	wrap func(apply applyFunc) applyFunc
}

type applyFunc func(ctx context.Context, tx *Tx, e *events.Envelope) error

func (c Config) withDefaults() Config {
	c.MaxBatch = cmp.Or(c.MaxBatch, 1000)
	c.Attempts = cmp.Or(c.Attempts, 4)
	c.Backoff = cmp.Or(c.Backoff, 20*time.Millisecond)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.wrap == nil {
		c.wrap = func(apply applyFunc) applyFunc { return apply }
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	if c.DB == nil || c.Update == nil || c.Log == nil || c.Subscribe == nil || c.Watermark == nil {
		errs = append(errs, errors.New("DB, Update, Log, Subscribe and Watermark are required"))
	}
	if c.MaxBatch < 0 || c.Attempts < 0 || c.Backoff < 0 {
		errs = append(errs, errors.New("numbers must not be negative"))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("config of the projection runner: %w", err)
	}
	return nil
}

// maxBackoff bounds the wait between attempts.
const maxBackoff = 5 * time.Second

// Runner keeps the rows up with the log.
type Runner struct {
	config Config
	views  *views
	move   *sql.Stmt // moves the checkpoint
	apply  applyFunc

	life    sync.Mutex // Start and Stop
	cancel  context.CancelFunc
	done    chan struct{}
	stopped bool

	// turn is held while a transaction runs and until what it did is noted here:
	// Retry and the loop must not act on each other's outdated knowledge.
	turn     sync.Mutex
	position int64
	lanes    map[string]int // parked events by lane
	poison   map[int64]error

	status statusBoard
}

// NewRunner checks the config. Nothing runs before Start.
func NewRunner(config Config) (*Runner, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	return &Runner{config: config, lanes: map[string]int{}, poison: map[int64]error{}}, nil
}

// Start prepares the statements, reads the checkpoint and follows the log until
// Stop; ctx is for the start only. It returns a *StaleError where the rows need
// a Rebuild first, ErrStopped after Stop.
func (r *Runner) Start(ctx context.Context) error {
	r.life.Lock()
	defer r.life.Unlock()
	if r.stopped {
		return ErrStopped
	}
	if r.cancel != nil {
		return errors.New("start projections: already running")
	}
	if err := r.prepare(ctx); err != nil {
		return fmt.Errorf("start projections: %w", err)
	}
	r.config.Watermark.Advance(r.position)
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r.cancel, r.done = cancel, make(chan struct{})
	go func() {
		defer close(r.done)
		r.run(run)
	}()
	return nil
}

func (r *Runner) prepare(ctx context.Context) error {
	if err := NeedsRebuild(ctx, r.config.DB, r.config.Log); err != nil {
		return err
	}
	if err := dropShadows(ctx, r.config.DB, r.config.Update); err != nil {
		return err
	}
	position, _, err := checkpoint(ctx, r.config.DB)
	if err != nil {
		return err
	}
	if r.lanes, err = readLanes(ctx, r.config.DB); err != nil {
		return err
	}
	if err := r.statements(ctx); err != nil {
		return err
	}
	r.position = position
	r.status.start(position, r.lanes)
	return nil
}

// statements prepares what every transaction uses.
func (r *Runner) statements(ctx context.Context) (err error) {
	if r.views, err = newViews(ctx, r.config.DB, ""); err != nil {
		return err
	}
	if r.move, err = r.config.DB.PrepareContext(ctx, moveCheckpoint); err != nil {
		err = errors.Join(err, r.views.close())
		r.views = nil
		return err
	}
	r.apply = r.config.wrap(r.views.apply)
	return nil
}

// Stop ends the Runner and waits for it. What was not applied yet is applied
// after the next start.
func (r *Runner) Stop() error {
	r.life.Lock()
	defer r.life.Unlock()
	r.stopped = true
	if r.cancel == nil {
		return nil
	}
	r.cancel()
	<-r.done
	r.turn.Lock() // a Retry may still be at work
	defer r.turn.Unlock()
	if r.views == nil {
		return nil
	}
	err := errors.Join(r.move.Close(), r.views.close())
	r.views = nil
	return err
}

// run follows the log, again after an error that may pass.
func (r *Runner) run(ctx context.Context) {
	for attempt := 0; ; attempt++ {
		before := r.status.position()
		err := r.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil { // the rows were made anew
			attempt = -1
			continue
		}
		r.status.fail(err)
		if errors.Is(err, ErrCheckpointLost) {
			r.config.Logger.Error("projections stopped", "error", err)
			r.status.end(err)
			return
		}
		if r.status.position() > before {
			attempt = 0
		}
		r.config.Logger.Warn("projections subscribe again", "error", err, "position", r.status.position())
		if !wait(ctx, r.config.Backoff, attempt) {
			return
		}
	}
}

// follow applies one subscription until it fails, or nil where a redaction has
// made the rows anew. The batch that wakes it waits
// for its turn to write; whatever else was committed by then goes into the same
// transaction.
func (r *Runner) follow(ctx context.Context) error {
	subscription := r.config.Subscribe(r.status.position())
	for {
		batch, err := subscription.Next(ctx)
		if err != nil {
			return fmt.Errorf("subscription: %w", err)
		}
		err = errRedaction
		if r.views != nil && !hasRedaction(batch, r.status.position()) {
			err = r.project(ctx, batch, subscription)
		}
		if errors.Is(err, errRedaction) {
			return r.remake(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// wait sleeps before attempt n (0 is the first repetition); false when ctx ended.
func wait(ctx context.Context, backoff time.Duration, n int) bool {
	timer := time.NewTimer(min(maxBackoff, backoff<<min(n, 20)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
