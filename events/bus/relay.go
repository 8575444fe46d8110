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
	"github.com/nats-io/nats.go/jetstream"

	"github.com/agent-kanban/agent-kanban/events"
)

// RelayConfig is what a Relay needs. Log, Tail, Conn and RecoveredDir are
// required.
type RelayConfig struct {
	Log  events.Reader
	Tail *Tail
	Conn *nats.Conn
	// RecoveredDir is where events are saved that only the stream still holds.
	RecoveredDir string
	// Restart replaces the server that Conn leads to; nil where it is not ours.
	Restart func(ctx context.Context) error
	// MaxAge and MaxBytes bound the stream, 7 days and 256 MiB when 0.
	MaxAge   time.Duration
	MaxBytes int64
	// Replicas of the stream, 1 when 0.
	Replicas int
	// InFlight bounds the events that are sent and not acknowledged, 2048 when 0.
	InFlight int
	// AckTimeout is how long the server may keep silent, 5 s when 0.
	AckTimeout time.Duration
	// RestartAfter is the number of failures in a row that call Restart, 3 when
	// 0; RestartPause is the least time between two calls, 30 s when 0.
	RestartAfter int
	RestartPause time.Duration
	// CheckEvery is how often an idle stream is looked at, 30 s when 0.
	CheckEvery time.Duration
	// StartTimeout and FlushTimeout bound Start and Stop, 5 s each when 0.
	StartTimeout, FlushTimeout time.Duration
	// Traceparent names the trace (W3C Trace Context) that the event at a position
	// belongs to, "" for none; it goes into the message's header. Nil = no traces.
	Traceparent func(position int64) string
	// Logger, none when nil.
	Logger *slog.Logger
}

func (c RelayConfig) withDefaults() RelayConfig {
	c.MaxAge = cmp.Or(c.MaxAge, 7*24*time.Hour)
	c.MaxBytes = cmp.Or(c.MaxBytes, 256<<20)
	c.Replicas = cmp.Or(c.Replicas, 1)
	c.InFlight = cmp.Or(c.InFlight, 2048)
	c.AckTimeout = cmp.Or(c.AckTimeout, requestTimeout)
	c.RestartAfter = cmp.Or(c.RestartAfter, 3)
	c.RestartPause = cmp.Or(c.RestartPause, 30*time.Second)
	c.CheckEvery = cmp.Or(c.CheckEvery, 30*time.Second)
	c.StartTimeout = cmp.Or(c.StartTimeout, 5*time.Second)
	c.FlushTimeout = cmp.Or(c.FlushTimeout, 5*time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c RelayConfig) validate() error {
	var errs []error
	if c.Log == nil || c.Tail == nil || c.Conn == nil || c.RecoveredDir == "" {
		errs = append(errs, errors.New("a Log, Tail, Conn and RecoveredDir are required"))
	}
	if c.MaxAge < 0 || c.MaxBytes < 0 || c.Replicas < 0 || c.InFlight < 0 || c.AckTimeout < 0 || c.RestartAfter < 0 ||
		c.RestartPause < 0 || c.CheckEvery < 0 || c.StartTimeout < 0 || c.FlushTimeout < 0 {
		errs = append(errs, errors.New("limits must not be negative"))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("config of the relay: %w", err)
	}
	return nil
}

// Relay copies the log into the stream: row N with the expected last sequence
// N-1, so that neither a gap nor a double can come about, whoever else
// publishes. It never holds up a command: it reads what the Tail was told.
type Relay struct {
	config RelayConfig
	js     jetstream.JetStream
	demand chan string // why the stream is to be made anew, see Rebuild

	life     sync.Mutex // Start and Stop
	cancel   context.CancelFunc
	tasks    sync.WaitGroup
	stopped  bool
	stopping chan struct{} // closed by Stop: finish what is committed

	status    statusBoard
	forgotten forgotten

	unfinished string // why a rebuild was begun that has not got through; of run's goroutine
}

// NewRelay checks the config. Nothing runs before Start.
func NewRelay(config RelayConfig) (*Relay, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	js, err := jetstream.New(config.Conn, jetstream.WithDefaultTimeout(config.AckTimeout))
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	return &Relay{
		config:   config,
		js:       js,
		demand:   make(chan string, 1),
		stopping: make(chan struct{}),
	}, nil
}

// Start brings the stream in line with the log, then copies until Stop. It
// returns when the first is done, or after StartTimeout: a bus that is down
// delays a start but does not prevent it. The Tail must have been started, and
// commands should be accepted afterwards only: events that nothing but the
// stream still holds can be put back as long as no others took their positions.
func (r *Relay) Start(ctx context.Context) error {
	r.life.Lock()
	defer r.life.Unlock()
	if r.stopped {
		return ErrStopped
	}
	if r.cancel != nil {
		return errors.New("start relay: already running")
	}
	found, err := savedFiles(r.config.RecoveredDir)
	if err != nil {
		return fmt.Errorf("start relay: %w", err)
	}
	r.status.start(found)
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r.cancel = cancel
	first := make(chan struct{})
	r.tasks.Go(func() { r.run(run, first) })
	timer := time.NewTimer(r.config.StartTimeout)
	defer timer.Stop()
	select {
	case <-first:
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil
}

// Stop copies what is committed, for at most FlushTimeout, then ends and waits.
// What did not get through is copied after the next start. It is safe before
// Start and twice.
func (r *Relay) Stop() {
	r.life.Lock()
	defer r.life.Unlock()
	if r.stopped || r.cancel == nil {
		r.stopped = true
		return
	}
	r.stopped = true
	close(r.stopping)
	timer := time.AfterFunc(r.config.FlushTimeout, r.cancel)
	r.tasks.Wait()
	timer.Stop()
	r.cancel()
	r.status.end()
}

// Rebuild asks for the stream to be made anew from the log, for instance
// because data was redacted that it still holds. It does not wait.
func (r *Relay) Rebuild(reason string) {
	select {
	case r.demand <- reason:
	default: // one is due anyway
	}
}

// Status returns what to show on a page about health. The bus is healthy where
// State is StateRelaying and Recovered is empty.
func (r *Relay) Status() Status { return r.status.get(r.config.Tail.Head()) }

// run synchronises and copies, again after each error.
func (r *Relay) run(ctx context.Context, first chan<- struct{}) {
	pause := newBackoff(20*time.Millisecond, 2*time.Second)
	var trouble trouble
	demand, scrubbed := "", false
	for {
		position, err := r.synchronise(ctx, demand)
		if err == nil {
			demand = ""
			r.status.relaying(position)
			if trouble.moved(position) {
				pause.reset()
			}
			if first != nil {
				close(first)
				first = nil
			}
			var scrub sync.WaitGroup
			scrubCtx, stop := context.WithCancel(ctx)
			if !scrubbed {
				scrubbed = true
				scrub.Go(func() { r.scrub(scrubCtx, position) })
			}
			err = r.copy(ctx, position)
			stop()
			scrub.Wait()
		}
		if ctx.Err() != nil || err == nil {
			return
		}
		var wanted *demanded
		if errors.As(err, &wanted) {
			demand = wanted.reason
			continue
		}
		if trouble.moved(r.status.position()) {
			pause.reset()
		}
		r.status.fail(err)
		trouble.failures++
		r.config.Logger.Log(ctx, trouble.level(err), "relay starts over", "error", err, "failures", trouble.failures)
		if r.config.Restart != nil && trouble.serverToBlame(err, r.config.RestartAfter) &&
			time.Since(trouble.restarted) >= r.config.RestartPause {
			trouble.failures, trouble.restarted = 0, time.Now()
			r.restart(ctx)
		}
		if !pause.wait(ctx) || r.hopeless() {
			return
		}
	}
}

// trouble is what run remembers of failures in a row.
type trouble struct {
	failures  int
	position  int64 // the furthest that the stream got
	restarted time.Time
}

// moved notes how far the stream is; any progress, be it another relay's, ends
// the row.
func (t *trouble) moved(position int64) bool {
	if position <= t.position {
		return false
	}
	t.failures, t.position = 0, position
	return true
}

// serverToBlame reports whether a restart may help. A server whose disk is full
// may drop messages and go on answering: then the stream's end is never where
// it should be, and does not move.
func (t *trouble) serverToBlame(err error, after int) bool {
	return t.failures >= after && (errors.Is(err, errBus) || errors.Is(err, errOutrun))
}

// level of a failure in the log: being outrun once is how two relays meet, and
// what goes on for hours need not be told every two seconds.
func (t *trouble) level(err error) slog.Level {
	switch {
	case errors.Is(err, errOutrun) && t.failures == 1:
		return slog.LevelInfo
	case t.failures&(t.failures-1) != 0:
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

// hopeless reports whether Stop was called while the bus does not work: what is
// missing there is copied after the next start.
func (r *Relay) hopeless() bool {
	select {
	case <-r.stopping:
		return r.status.get(0).State != StateRelaying
	default:
		return false
	}
}

func (r *Relay) restart(ctx context.Context) {
	r.status.restarting()
	if err := r.config.Restart(ctx); err != nil {
		r.config.Logger.Error("bus server does not restart", "error", err)
		r.status.fail(err)
		return
	}
	r.config.Logger.Warn("bus server was restarted")
}
