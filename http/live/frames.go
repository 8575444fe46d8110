package live

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/olahol/melody"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

// clientFrame is what a client may send.
type clientFrame struct {
	Type    string       `json:"type"`
	Token   string       `json:"token"`
	BoardID commands.Ref `json:"board_id"`
	Since   *int64       `json:"since"`
	LogID   string       `json:"log_id"`
}

func (se *session) receive(text []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var in clientFrame
	if err := json.Unmarshal(text, &in); err != nil {
		se.refuse(events.CodeInvalid, "A frame is a JSON object with a type.")
		return
	}
	if in.Type == "auth" {
		se.signIn(ctx, in.Token)
		return
	}
	if se.userID() == 0 {
		se.refuse(events.CodeUnauthenticated, `Send {"type":"auth","token":…} first.`)
		se.close(CloseUnauthenticated, "send credentials first")
		return
	}
	if err := se.feed.cfg.Allow(ctx, se.who()); err != nil {
		e := userError(err)
		se.frame("error", map[string]any{"code": e.Code, "message": e.Message, "retry_after": math.Ceil(e.RetryAfter.Seconds())})
		return
	}
	switch in.Type {
	case "ping":
		se.frame("pong", map[string]any{"server_time": time.Now().UTC().Format(time.RFC3339Nano)})
	case "get_stats":
		se.frame("stats", se.feed.Stats())
	case "subscribe_board":
		se.subscribe(ctx, &in)
	case "unsubscribe_board":
		board, err := se.feed.deps.Boards.BoardID(ctx, in.BoardID)
		if err == nil && se.feed.unsubscribe(se, board) {
			se.frame("unsubscribed", map[string]any{"board_id": board})
			return
		}
		se.frame("error", map[string]any{"code": events.CodeNotFound, "message": "You are not subscribed to this board.", "board_id": in.BoardID})
	default:
		se.refuse(events.CodeInvalid, "The type of a frame is auth, subscribe_board, unsubscribe_board, ping or get_stats.")
	}
}

func (se *session) signIn(ctx context.Context, token string) {
	p, err := se.feed.deps.Credentials.Authenticate(ctx, token)
	if err != nil {
		e := userError(err)
		se.refuse(e.Code, e.Message)
		se.close(CloseUnauthenticated, "the credentials are not good")
		return
	}
	se.mu.Lock()
	again := se.signedIn
	if !again {
		se.principal, se.signedIn = p.Lasting(), true
	}
	se.mu.Unlock()
	if again {
		se.refuse(events.CodeInvalid, "This connection is signed in already.")
		return
	}
	se.welcome()
}

// subscribe joins past and present without a seam: the session is in the index
// first, then the past is read up to where the index begins.
func (se *session) subscribe(ctx context.Context, in *clientFrame) {
	f := se.feed
	fail := func(err error) {
		e := userError(err)
		if e.Code == events.CodeInternal {
			f.cfg.Log.Error("subscribe", "client_id", se.id, "error", err)
		}
		se.frame("error", map[string]any{"code": e.Code, "message": e.Message, "board_id": in.BoardID})
	}
	board, err := f.deps.Boards.BoardID(ctx, in.BoardID)
	if err != nil {
		fail(err)
		return
	}
	if in.Since != nil {
		f.reach(ctx, *in.Since)
	}
	sub := se.feed.subscribe(se, board)
	// Only now the role: a change after this finds the session in the index.
	err = f.await(ctx, sub.after)
	if err == nil {
		err = f.deps.Boards.MayRead(ctx, se.who(), board)
	}
	if err != nil {
		se.feed.unsubscribe(se, board)
		fail(err)
		return
	}
	reason := ""
	if in.Since != nil {
		switch {
		case in.LogID != "" && in.LogID != f.deps.Log.LogID():
			reason = "this is another log"
		case *in.Since > sub.after:
			reason = "the log ends before since"
		case sub.after-*in.Since > resyncAfter:
			reason = "too far behind"
		}
	}
	recovered := in.Since != nil && reason == ""
	if !f.admit(se, sub, map[string]any{"board_id": board, "position": sub.after, "recovered": recovered, "log_id": f.deps.Log.LogID()}) {
		return // access was lost meanwhile, and that has been said
	}
	if reason != "" {
		se.frame("resync", map[string]any{"board_id": board, "position": sub.after, "reason": reason, "log_id": f.deps.Log.LogID()})
	}
	if recovered && !se.replay(ctx, board, *in.Since, sub.after) {
		return
	}
	se.mu.Lock()
	defer se.mu.Unlock()
	sub.ready = true
	for _, text := range sub.held {
		se.waiting -= len(text)
		se.writeLocked(text)
	}
	sub.held = nil
}

// replay sends the board's events in (since, upTo]. After a failure the
// connection is closed, so that the client comes again with since.
func (se *session) replay(ctx context.Context, board, since, upTo int64) bool {
	q := events.Query{Stream: events.BoardStream(board), After: since, UpTo: upTo, Limit: 500}
	for since < upTo {
		page, err := se.feed.deps.Log.Read(ctx, q)
		if err != nil {
			se.feed.cfg.Log.Error("replay for a resuming client", "client_id", se.id, "error", err)
			se.close(melody.CloseTryAgainLater, "could not read the log, resume with since")
			return false
		}
		if len(page) == 0 {
			return true
		}
		n := &notice{}
		for i := range page {
			n.add(&page[i])
		}
		se.write(n.text)
		if !se.drain() {
			se.close(CloseTooSlow, "too slow, resume with since")
			return false
		}
		q.After = n.last
	}
	return true
}

// recheck ends a subscription that its user may no longer have.
func (se *session) recheck(ctx context.Context, board int64) {
	if !slices.Contains(se.feed.boardsOf(se), board) {
		return
	}
	err := se.feed.deps.Boards.MayRead(ctx, se.who(), board)
	if err == nil {
		return
	}
	if events.CodeOf(err) != events.CodeNotFound {
		se.feed.cfg.Log.Error("check a subscription", "board_id", strconv.FormatInt(board, 10), "error", err)
	}
	if se.feed.unsubscribe(se, board) {
		se.frame("unsubscribed", map[string]any{"board_id": board, "reason": "you may not see this board any more"})
	}
}

// reauthenticate asks whether the session's credential is still good, and for
// its current flags.
func (se *session) reauthenticate(ctx context.Context) {
	p, err := se.feed.deps.Credentials.Check(ctx, se.who())
	if err != nil {
		se.close(CloseUnauthenticated, "the credentials have ended, sign in again")
		return
	}
	se.mu.Lock()
	se.principal = p
	se.mu.Unlock()
	for _, board := range se.feed.boardsOf(se) {
		se.recheck(ctx, board)
	}
}

// renew ends the connection when its credential is no good any more. Other than
// after an event, a failing database is no reason.
func (se *session) renew(ctx context.Context) {
	if se.userID() == 0 {
		return
	}
	if _, err := se.feed.deps.Credentials.Check(ctx, se.who()); events.CodeOf(err) == events.CodeUnauthenticated {
		se.close(CloseUnauthenticated, "the credentials have ended, sign in again")
	}
}

// await blocks until queries can see pos, for a bounded time.
func (f *Feed) await(ctx context.Context, pos int64) error {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.Wait)
	defer cancel()
	if !f.wait(ctx, pos) {
		return events.Errorf(events.CodeUnavailable, "The read model is behind. Subscribe again in a moment.")
	}
	return nil
}

// userError turns any error into one that may leave the server.
func userError(err error) *events.Error {
	var e *events.Error
	if errors.As(err, &e) {
		return e
	}
	return events.Errorf(events.CodeInternal, "Something went wrong in the server. Try again.")
}
