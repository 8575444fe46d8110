package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// ErrOtherLog ends Follow when the server, after a break, serves another log
// than before, or an older state of it: positions of the one mean nothing in
// the other.
var ErrOtherLog = errors.New("the server now has another log than before")

// idleTimeout ends a stream on which nothing came, not even the server's
// comments every 15 s: the connection is dead, although no one said so.
const idleTimeout = 60 * time.Second

// Interruption tells a follower why the stream broke and when it is tried again.
type Interruption struct {
	Err  error
	Wait time.Duration
}

// Follow yields the events after q.After in order, each once, and goes on with
// new ones as they happen, until ctx ends or the caller stops. When the
// connection breaks it resumes after the last event yielded, for as long as it
// takes; interrupted, if not nil, hears of each break. The very first connection
// is tried like any other call, so that a wrong address is an error and not an
// endless wait. Iteration stops after the first error; the end of ctx is none.
func (c *Client) Follow(ctx context.Context, q EventQuery, interrupted func(Interruption)) iter.Seq2[events.Envelope, error] {
	return func(yield func(events.Envelope, error) bool) {
		f := follower{c: c, q: q, backoff: c.cfg.Backoff, interrupted: interrupted}
		f.q.Limit = 0
		if err := f.run(ctx, yield); err != nil && ctx.Err() == nil {
			yield(events.Envelope{}, err)
		}
	}
}

type follower struct {
	c           *Client
	q           EventQuery
	logID       string
	last        events.Hash // of the event at q.After, zero before the first
	backoff     time.Duration
	interrupted func(Interruption)
}

// errStop says that the caller wants no more.
var errStop = errors.New("stop")

func (f *follower) run(ctx context.Context, yield func(events.Envelope, error) bool) error {
	head, err := f.c.Head(ctx)
	if err != nil {
		return err
	}
	f.logID = head.LogID
	for {
		err := f.stream(ctx, yield)
		if errors.Is(err, errStop) || ctx.Err() != nil {
			return nil //nolint:nilerr // the caller ended it, which is no error
		}
		if !passing(err) {
			return err
		}
		wait := f.backoff
		f.backoff = min(2*f.backoff, maxWait)
		if f.interrupted != nil {
			f.interrupted(Interruption{Err: err, Wait: wait})
		}
		sleep(ctx, wait)
		if err := f.sameLog(ctx); err != nil {
			return err
		}
	}
}

// sameLog returns ErrOtherLog if the server came back with a database that does
// not continue what was read: a resume would skip events, or mix two histories.
// While the server does not answer it returns nil.
func (f *follower) sameLog(ctx context.Context) error {
	var zero events.Hash
	head, err := f.c.Head(ctx)
	switch {
	case err != nil:
		return nil //nolint:nilerr // the next stream will tell
	case head.LogID != f.logID:
		return fmt.Errorf("%w (%s, before %s)", ErrOtherLog, head.LogID, f.logID)
	case head.Position < f.q.After:
		return fmt.Errorf("%w: it ends at position %d, after %d had been read", ErrOtherLog, head.Position, f.q.After)
	case f.last == zero:
		return nil
	}
	page, err := f.c.Events(ctx, EventQuery{After: f.q.After - 1, Limit: 1})
	if err == nil && len(page.Items) == 1 && page.Items[0].Position == f.q.After && page.Items[0].Hash != f.last {
		return fmt.Errorf("%w: the event at position %d is not the one that was read", ErrOtherLog, f.q.After)
	}
	return nil
}

// passing reports whether trying again can help.
func passing(err error) bool {
	var refusal *events.Error
	if !errors.As(err, &refusal) {
		return true
	}
	switch refusal.Code {
	case events.CodeUnavailable, events.CodeRateLimited, events.CodeInternal:
		return true
	default:
		return false
	}
}

// stream reads one connection until it breaks; the error is never nil.
func (f *follower) stream(ctx context.Context, yield func(events.Envelope, error) bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := f.c.newRequest(ctx, request{method: http.MethodGet, path: "/api/events", query: f.q.values()}, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	if f.q.After > 0 {
		req.Header.Set("Last-Event-ID", strconv.FormatInt(f.q.After, 10))
	}
	idle := time.AfterFunc(idleTimeout, func() { cancel(fmt.Errorf("nothing came for %s", idleTimeout)) })
	defer idle.Stop()
	res, err := f.c.cfg.HTTP.Do(req)
	if err != nil {
		return &UnreachableError{URL: f.c.URL(), Err: cause(err)}
	}
	defer res.Body.Close()
	if res.StatusCode >= 400 {
		body, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		return problem(res, body)
	}
	if ct := res.Header.Get("Content-Type"); !strings.HasPrefix(ct, "text/event-stream") {
		return events.Errorf(events.CodeNotFound, "%s does not speak the event stream (it answered %q).", f.c.URL(), ct)
	}
	lines := bufio.NewReaderSize(res.Body, 64<<10)
	var data []byte
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			if reason := context.Cause(ctx); reason != nil {
				err = reason
			}
			return &UnreachableError{URL: f.c.URL(), Err: err}
		}
		idle.Reset(idleTimeout)
		f.backoff = f.c.cfg.Backoff
		line = bytes.TrimRight(line, "\r\n")
		if field, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			data = append(data, bytes.TrimPrefix(field, []byte(" "))...)
			continue
		}
		if len(line) > 0 || len(data) == 0 {
			continue // id and event repeat what the data says; comments keep the line alive
		}
		if err := f.deliver(data, yield); err != nil {
			return err
		}
		data = data[:0]
	}
}

// deliver yields one event, unless it came before.
func (f *follower) deliver(data []byte, yield func(events.Envelope, error) bool) error {
	var e events.Envelope
	if err := json.Unmarshal(data, &e); err != nil {
		return events.Errorf(events.CodeInvalid, "%s sent an event that this program cannot read: %v", f.c.URL(), err)
	}
	if e.Position <= f.q.After {
		return nil
	}
	f.q.After, f.last = e.Position, e.Hash
	if !yield(e, nil) {
		return errStop
	}
	return nil
}
