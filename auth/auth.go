package auth

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/maypok86/otter/v2"
	"golang.org/x/time/rate"

	"github.com/agent-kanban/agent-kanban/events"
)

// Updater runs write transactions. sqlstore.DB is one.
type Updater interface {
	// Update runs fn in one durable transaction and commits if fn returns nil.
	// The context it hands to fn outlives the caller's.
	Update(ctx context.Context, fn func(ctx context.Context, tx *sql.Tx) error) error
}

// User is a person or an agent, as far as signing in is concerned.
type User struct {
	ID     int64
	Name   string
	Kind   events.ActorKind
	Admin  bool
	Active bool
}

// Users looks people and agents up. Both methods return an error whose
// events.CodeOf is CodeNotFound where there is no such user.
type Users interface {
	UserByName(ctx context.Context, name string) (User, error)
	UserByID(ctx context.Context, id int64) (User, error)
}

// Config is what a Service needs. Zero fields take the defaults named beside
// them.
type Config struct {
	Key    Secret  // signs access tokens; see LoadOrCreateKey
	Reader *sql.DB // for queries

	// PreviousKey signs nothing; what it signed before Key took its place is
	// accepted until PreviousUntil. None when empty.
	PreviousKey   Secret
	PreviousUntil time.Time

	AccessTTL  time.Duration // 30 minutes; life of an access token
	RefreshTTL time.Duration // 7 days; a session unused for so long ends
	TicketTTL  time.Duration // 30 seconds; life of a WebSocket ticket

	// Recheck is for how long a verified token is believed without asking the
	// database: 2 seconds. It bounds how late a revocation by another process
	// takes effect; Forget makes one of this process take effect at once.
	Recheck time.Duration

	HashConcurrency int // 2; passwords hashed at once, 19 MiB each
	HashQueue       int // 64; more that may wait

	CacheSize  int // 10,000; verified tokens remembered
	MaxTickets int // 10,000; tickets outstanding
	MaxKeys    int // 50,000; accounts, and addresses, that each limit tracks

	LoginsPerAddress Limit // 30 failures, then one per 6 s
	LoginsPerAccount Limit // 10 failures, then one per 30 s
	Registrations    Limit // per address: 5, then one per 12 min (5 an hour)
	// AgentCommands is per agent: 600, then one per 100 ms (600 a minute). A
	// negative Burst is no limit.
	AgentCommands Limit

	// Shared counts logins and registrations for all processes, besides this one's
	// own counts; nil = this process is alone.
	Shared Shared

	Now    func() time.Time // time.Now
	Logger *slog.Logger     // discards
}

// Limit is a token bucket: Burst at once, then one per Every.
type Limit struct {
	Burst int
	Every time.Duration
}

func (c Config) withDefaults() Config {
	orDuration := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	orInt := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	orLimit := func(l *Limit, v Limit) {
		if *l == (Limit{}) {
			*l = v
		}
	}
	orDuration(&c.AccessTTL, 30*time.Minute)
	orDuration(&c.RefreshTTL, 7*24*time.Hour)
	orDuration(&c.TicketTTL, 30*time.Second)
	orDuration(&c.Recheck, 2*time.Second)
	orInt(&c.HashConcurrency, 2)
	orInt(&c.HashQueue, 64)
	orInt(&c.CacheSize, 10_000)
	orInt(&c.MaxTickets, 10_000)
	orInt(&c.MaxKeys, 50_000)
	orLimit(&c.LoginsPerAddress, Limit{Burst: 30, Every: 6 * time.Second})
	orLimit(&c.LoginsPerAccount, Limit{Burst: 10, Every: 30 * time.Second})
	orLimit(&c.Registrations, Limit{Burst: 5, Every: 12 * time.Minute})
	orLimit(&c.AgentCommands, Limit{Burst: 600, Every: 100 * time.Millisecond})
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	if err := CheckKey(c.Key.text); err != nil {
		errs = append(errs, fmt.Errorf("signing key %w", err))
	}
	if !c.PreviousKey.IsZero() {
		if err := CheckKey(c.PreviousKey.text); err != nil {
			errs = append(errs, fmt.Errorf("SECRET_KEY_PREVIOUS %w: leave it empty, and everybody signs in again", err))
		}
	}
	if c.Reader == nil {
		errs = append(errs, errors.New("no reader"))
	}
	for name, d := range map[string]time.Duration{
		"access token life": c.AccessTTL, "refresh token life": c.RefreshTTL, "ticket life": c.TicketTTL, "recheck": c.Recheck,
	} {
		if d < 0 {
			errs = append(errs, fmt.Errorf("%s is negative", name))
		}
	}
	if c.AccessTTL > c.RefreshTTL {
		errs = append(errs, errors.New("an access token would outlive its refresh token"))
	}
	for name, n := range map[string]int{
		"hash concurrency": c.HashConcurrency, "hash queue": c.HashQueue, "cache size": c.CacheSize,
		"ticket limit": c.MaxTickets, "key limit": c.MaxKeys,
	} {
		if n < 0 {
			errs = append(errs, fmt.Errorf("%s is negative", name))
		}
	}
	for name, l := range map[string]Limit{
		"logins per address": c.LoginsPerAddress, "logins per account": c.LoginsPerAccount, "registrations": c.Registrations,
	} {
		if l.Burst < 1 || l.Every <= 0 {
			errs = append(errs, fmt.Errorf("limit of %s needs a burst and an interval", name))
		}
	}
	if l := c.AgentCommands; l.Burst >= 0 && (l.Burst == 0 || l.Every <= 0) {
		errs = append(errs, errors.New("limit of agent commands needs a burst and an interval, or a negative burst for none"))
	}
	return errors.Join(errs...)
}

// Service issues and verifies credentials. It is safe for concurrent use.
type Service struct {
	cfg    Config
	db     Updater
	users  Users
	parser *jwt.Parser

	verified *otter.Cache[digest, *verified]
	epochs   [epochSlots]atomic.Uint64

	hashSlots chan struct{}
	hashQueue atomic.Int64

	tickets       tickets
	uses          uses
	byAddress     *limiter
	byAccount     *limiter
	registrations *limiter
	commands      *limiter // of agents

	mu   sync.Mutex
	stop context.CancelFunc
	loop sync.WaitGroup
}

// New returns a Service; it starts nothing. See Start for its upkeep.
func New(cfg Config, db Updater, users Users) (*Service, error) {
	cfg = cfg.withDefaults()
	err := cfg.validate()
	if db == nil {
		err = errors.Join(err, errors.New("no updater"))
	}
	if users == nil {
		err = errors.Join(err, errors.New("no users"))
	}
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	// Bounded by size only, and expiry checked on reading: a cache with a timer
	// of its own would start a goroutine that nobody stops.
	cache, err := otter.New(&otter.Options[digest, *verified]{
		MaximumSize: cfg.CacheSize,
		Executor:    func(fn func()) { fn() },
	})
	if err != nil {
		return nil, fmt.Errorf("auth: cache: %w", err)
	}
	s := &Service{
		cfg: cfg, db: db, users: users, verified: cache,
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
			jwt.WithIssuer(issuer), jwt.WithAudience(issuer),
			jwt.WithExpirationRequired(), jwt.WithTimeFunc(cfg.Now),
		),
		hashSlots:     make(chan struct{}, cfg.HashConcurrency),
		byAddress:     newLimiter(cfg.LoginsPerAddress, cfg.MaxKeys),
		byAccount:     newLimiter(cfg.LoginsPerAccount, cfg.MaxKeys),
		registrations: newLimiter(cfg.Registrations, cfg.MaxKeys),
		commands:      newLimiter(cfg.AgentCommands, cfg.MaxKeys),
	}
	s.tickets.held = make(map[digest]ticket)
	s.tickets.perUser = make(map[int64]int)
	s.uses.pending = make(map[int64]time.Time)
	return s, nil
}

// upkeep is how often last_used_at is written; every sixtieth time expired
// refresh tokens are deleted too.
const upkeep = time.Minute

// Start begins the upkeep: it writes down when API tokens were last used, and
// deletes expired refresh tokens. It ends with Stop or with ctx.
func (s *Service) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		return errors.New("auth: already started")
	}
	ctx, s.stop = context.WithCancel(ctx)
	s.loop.Go(func() { s.run(ctx) })
	return nil
}

// Stop ends the upkeep, writes down what is left of it, and waits for both. It
// may be called twice, and without Start.
func (s *Service) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop == nil {
		return
	}
	s.stop()
	s.loop.Wait()
	s.stop = nil
}

func (s *Service) run(ctx context.Context) {
	ticker := time.NewTicker(upkeep)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			if err := s.Flush(context.WithoutCancel(ctx)); err != nil {
				s.cfg.Logger.Warn("last use of api tokens not saved", "error", err)
			}
			return
		case <-ticker.C:
		}
		if err := s.Flush(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Logger.Warn("last use of api tokens not saved", "error", err)
		}
		if n%60 != 1 {
			continue
		}
		if _, err := s.DeleteExpired(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Logger.Warn("expired refresh tokens not deleted", "error", err)
		}
	}
}

// stampLayout is the text form of times in operator-facing tables.
const stampLayout = "2006-01-02 15:04:05.000000"

func stamp(t time.Time) string { return t.UTC().Format(stampLayout) }

func parseStamp(text string) (time.Time, error) {
	return time.ParseInLocation(stampLayout, text, time.UTC)
}

// refused is an error that says that credentials are not accepted.
func refused(format string, args ...any) *events.Error {
	return events.Errorf(events.CodeUnauthenticated, format, args...)
}

func (l Limit) rate() rate.Limit { return rate.Every(l.Every) }
