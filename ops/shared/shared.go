package shared

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Config is where Redis is. Zero fields take the values named beside them.
type Config struct {
	URL    string        // redis://[user:password@]host:port/db or rediss://…; "" = no Redis
	Prefix string        // "kanban:"; before every key
	Probe  time.Duration // 1 s; how often Redis is asked whether it is there
	Dial   time.Duration // 200 ms; for a connection
	Answer time.Duration // 100 ms; for one answer
	Now    func() time.Time
	Logger *slog.Logger // discards
}

func (c Config) withDefaults() Config {
	if c.Prefix == "" {
		c.Prefix = "kanban:"
	}
	if c.Probe == 0 {
		c.Probe = time.Second
	}
	if c.Dial == 0 {
		c.Dial = 200 * time.Millisecond
	}
	if c.Answer == 0 {
		c.Answer = 100 * time.Millisecond
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Status is how Redis is, for health and metrics.
type Status struct {
	Configured bool      `json:"configured"`
	Up         bool      `json:"up"`
	Address    string    `json:"address,omitempty"` // host:port
	Since      time.Time `json:"since,omitzero"`    // of Up; zero before Start
	Error      string    `json:"error,omitempty"`   // why it is not up
	Losses     int64     `json:"losses"`            // how often it went away
}

// Degraded reports whether Redis is wanted and not there.
func (s Status) Degraded() bool { return s.Configured && !s.Up }

// Err is Error as an error, nil when Redis is there or not wanted.
func (s Status) Err() error {
	if !s.Degraded() {
		return nil
	}
	return fmt.Errorf("no answer of Redis at %s: %s", s.Address, s.Error)
}

// Shared is the connection to Redis behind a circuit breaker: after one failure
// nobody waits on Redis until a probe in the background has found it well. It is
// safe for concurrent use.
type Shared struct {
	cfg      Config
	rdb      *redis.Client // nil = no Redis
	rate     *redis_rate.Limiter
	password string

	up atomic.Bool

	mu     sync.Mutex
	status Status

	life  sync.Mutex
	stop  context.CancelFunc
	loop  sync.WaitGroup
	ended bool
}

// quiet keeps the client's own log, which is one for the whole process, from
// standard error: what it has to say comes back as an error too.
var quiet = sync.OnceFunc(func() { redis.SetLogger(silence{}) })

type silence struct{}

// Printf implements the client's logger.
func (silence) Printf(context.Context, string, ...any) {}

// CheckURL returns an error for an address that New would not take. It never
// repeats the address, which may hold a password.
func CheckURL(url string) error {
	if _, err := redis.ParseURL(url); err != nil {
		return errors.New("want an address like redis://localhost:6379/0") // err repeats what it was given
	}
	return nil
}

// New returns a Shared that is not connected yet; see Start.
func New(cfg Config) (*Shared, error) {
	s := &Shared{cfg: cfg.withDefaults()}
	if cfg.URL == "" {
		return s, nil
	}
	if err := CheckURL(cfg.URL); err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	o, err := redis.ParseURL(cfg.URL)
	if err != nil {
		return nil, errors.New("redis: the address cannot be read")
	}
	quiet()
	// By default a call costs seconds while Redis is away.
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = s.cfg.Dial, s.cfg.Answer, s.cfg.Answer, s.cfg.Answer
	o.MaxRetries, o.DialerRetries = -1, 1
	o.ContextTimeoutEnabled = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	s.rdb, s.password = redis.NewClient(o), o.Password
	s.rate = redis_rate.NewLimiter(s.rdb)
	s.status = Status{Configured: true, Address: o.Addr}
	return s, nil
}

// Start looks for Redis, for no longer than one attempt to connect, and goes on
// looking until Stop. That Redis is away is no error.
func (s *Shared) Start(ctx context.Context) error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.stop != nil || s.ended {
		return errors.New("shared: it was started before")
	}
	if s.rdb == nil {
		return nil
	}
	s.probe(ctx)
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.loop.Go(func() {
		ticker := time.NewTicker(s.cfg.Probe)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				s.probe(ctx)
			case <-ctx.Done():
				return
			}
		}
	})
	return nil
}

// Stop ends the connection and waits for what Start began. It is safe twice and
// before Start; later calls find no Redis.
func (s *Shared) Stop() error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.rdb == nil || s.ended {
		return nil
	}
	s.ended = true
	if s.stop != nil {
		s.stop()
	}
	s.loop.Wait()
	s.up.Store(false)
	if err := s.rdb.Close(); err != nil {
		return fmt.Errorf("close redis: %w", err)
	}
	return nil
}

// Status returns how Redis is.
func (s *Shared) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// probe does what the limits do, so that a Redis that answers but may not be
// written to (a replica, one that is full) counts as away.
func (s *Shared) probe(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Dial+2*s.cfg.Answer)
	defer cancel()
	_, err := s.rate.Allow(ctx, s.cfg.Prefix+"probe", redis_rate.PerSecond(1))
	if errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	s.found(err)
}

// call runs fn where Redis is there. It reports whether fn succeeded; where it
// did not, the caller goes on with what it has of its own.
func (s *Shared) call(ctx context.Context, fn func(ctx context.Context) error) bool {
	if !s.up.Load() {
		return false
	}
	within, cancel := context.WithTimeout(ctx, s.cfg.Dial+s.cfg.Answer)
	defer cancel()
	err := fn(within)
	switch {
	case err == nil:
		return true
	case ctx.Err() != nil, errors.Is(err, redis.Nil), errors.Is(err, redis.ErrPoolTimeout):
		// Not for Redis to answer for: a caller that left, a key that is not
		// there, more callers than connections.
	default:
		s.found(err)
	}
	return false
}

// found notes how Redis is and says so once for each change.
func (s *Shared) found(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.status.Since.IsZero()
	up := err == nil
	if err != nil {
		s.status.Error = s.redact(err.Error())
	}
	if up == s.status.Up && !first {
		return
	}
	s.status.Up, s.status.Since = up, s.cfg.Now().UTC()
	s.up.Store(up)
	switch {
	case !up:
		s.status.Losses++
		s.cfg.Logger.Warn("redis is away; limits and cache are this process's own until it is back", "address", s.status.Address, "error", s.status.Error)
	case first:
		s.cfg.Logger.Info("redis shares limits and cache", "address", s.status.Address)
	default:
		s.cfg.Logger.Info("redis is back", "address", s.status.Address)
	}
	if up {
		s.status.Error = ""
	}
}

func (s *Shared) redact(text string) string {
	if s.password == "" {
		return text
	}
	return strings.ReplaceAll(text, s.password, "…")
}
