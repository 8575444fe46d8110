package live

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

// Config is how the feed behaves.
type Config struct {
	// AuthWait is how long a socket may stay without credentials; 0 = 5 s.
	AuthWait time.Duration
	// Wait bounds how long a subscription waits for the read model; 0 = 2 s.
	Wait time.Duration
	// Recheck is how often every client's credential is checked again, since a
	// session can end without an event in the log; 0 = 15 s.
	Recheck time.Duration
	// Presence is how long changes of who watches a board are gathered before its
	// subscribers are told; 0 = 250 ms.
	Presence time.Duration
	// Backlog bounds the bytes that may wait for one client before it is told
	// to resume later; 0 = 4 MiB.
	Backlog int
	// OriginAllowed decides on the Origin header of a handshake. Required.
	OriginAllowed func(r *http.Request) bool
	// Refuse answers a handshake that is none. Required.
	Refuse func(w http.ResponseWriter, r *http.Request, e *events.Error)
	// Allow counts a frame of a client that is signed in and returns
	// CodeRateLimited for one too many; nil = no limit.
	Allow func(ctx context.Context, p auth.Principal) error
	// Taken is told of every batch, before the sessions are; nil = nobody.
	Taken func(batch []events.Envelope)
	Log   *slog.Logger // nil = none
}

func (c Config) withDefaults() Config {
	if c.AuthWait == 0 {
		c.AuthWait = 5 * time.Second
	}
	if c.Wait == 0 {
		c.Wait = 2 * time.Second
	}
	if c.Recheck == 0 {
		c.Recheck = 15 * time.Second
	}
	if c.Presence == 0 {
		c.Presence = 250 * time.Millisecond
	}
	if c.Backlog == 0 {
		c.Backlog = 4 << 20
	}
	if c.Allow == nil {
		c.Allow = func(context.Context, auth.Principal) error { return nil }
	}
	if c.Taken == nil {
		c.Taken = func([]events.Envelope) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	if c.OriginAllowed == nil || c.Refuse == nil {
		return errors.New("OriginAllowed and Refuse are required")
	}
	return nil
}

// Deps is everything the feed stands on. All of it is required.
type Deps struct {
	Log         events.Reader
	Watermark   Watermark
	Boards      Boards
	Credentials Credentials
	// Subscribe returns a cursor that starts after a position.
	Subscribe func(after int64) Subscription
}

func (d Deps) validate() error {
	if d.Log == nil || d.Watermark == nil || d.Boards == nil || d.Credentials == nil || d.Subscribe == nil {
		return errors.New("a Log, Watermark, Boards, Credentials and Subscribe are required")
	}
	return nil
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

// Boards answers who may see what.
type Boards interface {
	// BoardID resolves an id or key; CodeNotFound for a key that is none.
	BoardID(ctx context.Context, ref commands.Ref) (int64, error)
	// MayRead returns CodeNotFound for a board that p may not see.
	MayRead(ctx context.Context, p auth.Principal, board int64) error
}

// Credentials says who a client is.
type Credentials interface {
	// Authenticate returns the principal of a token, or CodeUnauthenticated.
	Authenticate(ctx context.Context, token string) (auth.Principal, error)
	// Check returns the principal with its current flags, or
	// CodeUnauthenticated where it may no longer act.
	Check(ctx context.Context, p auth.Principal) (auth.Principal, error)
}

// Serve upgrades a request and serves the socket from here to its end. A nil p
// is a client that will send its credentials as its first frame. The error is
// CodeUnavailable where the feed is stopping; other refusals are answered
// through Config.Refuse.
func (f *Feed) Serve(w http.ResponseWriter, r *http.Request, p *auth.Principal) error {
	se := newSession(f)
	if p != nil {
		se.principal, se.signedIn = p.Lasting(), true
	}
	if !f.enter() {
		return events.Errorf(events.CodeUnavailable, "The server is stopping. Try again in a moment.")
	}
	defer f.open.Done()
	defer se.closers.Wait()
	_ = f.melody.HandleRequestWithKeys(w, r, map[string]any{sessionKey: se}) // Refuse has answered
	return nil
}

// enter counts a socket in; it refuses when the feed is stopping.
func (f *Feed) enter() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped {
		return false
	}
	f.open.Add(1)
	return true
}

// Stats is the JSON of /ws/stats. Counts only: it tells nothing of boards.
type Stats struct {
	ActiveConnections int   `json:"active_connections"`
	Subscriptions     int   `json:"subscriptions"`
	Boards            int   `json:"boards"`
	Notices           int64 `json:"notices" doc:"Events given to connections since the start"`
	SlowClosed        int64 `json:"slow_closed" doc:"Connections closed for being slow since the start"`
	Position          int64 `json:"position"`
}

func (f *Feed) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	st := Stats{
		ActiveConnections: len(f.sessions), Boards: len(f.boards), Position: f.claimed,
		Notices: f.notices.Load(), SlowClosed: f.slow.Load(),
	}
	for _, subs := range f.boards {
		st.Subscriptions += len(subs)
	}
	return st
}
