package http

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

// shape builds the reply to a write from what the write did. It must give the
// same bytes for a repeated command as it gave the first time.
type shape func(ctx context.Context, r *commands.Receipt) (answer, error)

// minimal is the reply to Prefer: return=minimal.
type minimal struct {
	Position int64 `json:"position"`
}

// meta is who asks, and under which conditions.
func (s *Server) meta(c *call) (commands.Meta, error) {
	m := commands.Meta{Actor: c.principal.Actor, Scope: c.principal.Scope}
	if key := c.header("Idempotency-Key"); key != "" {
		if len(key) > 200 || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
			return m, events.Errorf(events.CodeInvalid, "An Idempotency-Key has at most 200 printable ASCII characters.")
		}
		m.CommandID = key
		m.RequestSHA = sumRequest(c)
	}
	if match := c.header("If-Match"); match != "" && match != "*" {
		version, err := parseETag(match)
		if err != nil {
			return m, err
		}
		m.IfMatch = &version
	}
	return m, nil
}

func parseETag(tag string) (int64, error) {
	digits := strings.TrimPrefix(strings.Trim(strings.TrimPrefix(strings.TrimSpace(tag), "W/"), `"`), "v")
	digits, _, _ = strings.Cut(digits, ".") // see variant
	version, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || version < 0 {
		return 0, events.Errorf(events.CodeInvalid, `If-Match must be one ETag as the server sent it, for example "v12".`)
	}
	return version, nil
}

// write carries out the commands and builds the reply: at once for a client
// that wants only the position, else once queries can see what was done.
func (s *Server) write(c *call, build shape, cmds ...commands.Command) (answer, error) {
	meta, err := s.meta(c)
	if err != nil {
		return answer{}, err
	}
	return s.writeAs(c, meta, build, cmds...)
}

func (s *Server) writeAs(c *call, meta commands.Meta, build shape, cmds ...commands.Command) (answer, error) {
	if meta.IfMatch != nil && len(cmds) > 1 {
		// Each command moves the version on, so the second could never match.
		return answer{}, events.Errorf(events.CodeInvalid, "If-Match is for one change, and this request makes %d. Make them one by one, or leave If-Match out.", len(cmds))
	}
	if err := s.charge(c, len(cmds)); err != nil {
		return answer{}, err
	}
	r, err := s.deps.Commands.Do(c.ctx(), meta, cmds...)
	if err != nil {
		return answer{}, s.explain(c, err, cmds)
	}
	if _, beat := cmds[0].(commands.Heartbeat); beat && r.Ticket != nil {
		s.kept.drop(r.Ticket.BoardID) // no event will tell
	}
	return s.conclude(c, r, build)
}

// charge counts commands against the budget of an agent, and tells it what is
// left.
func (s *Server) charge(c *call, n int) error {
	err := s.deps.Auth.AllowCommands(c.principal, n)
	if err != nil {
		s.limited(ScopeCommands)
	}
	if b := s.deps.Auth.CommandBudget(c.principal); b.Limit > 0 {
		// draft-ietf-httpapi-ratelimit-headers: quota and window; rest and when
		// it is whole again.
		h := c.gin.Writer.Header()
		h.Set("RateLimit-Policy", fmt.Sprintf(`"commands";q=%d;w=%d`, b.Limit, int64(b.Window.Seconds())))
		h.Set("RateLimit", fmt.Sprintf(`"commands";r=%d;t=%d`, b.Remaining, int64(math.Ceil(b.Reset.Seconds()))))
	}
	return err
}

// conclude answers a command that was carried out.
func (s *Server) conclude(c *call, r commands.Receipt, build shape) (answer, error) {
	if prefersMinimal(c.header("Prefer")) {
		c.gin.Writer.Header().Set("Preference-Applied", "return=minimal")
		return answer{view: minimal{r.Position}, position: r.Position}, nil
	}
	if err := s.await(c.ctx(), r.Position); err != nil {
		// It happened, all the same: the position says so.
		c.gin.Writer.Header().Set("Kanban-Position", strconv.FormatInt(r.Position, 10))
		return answer{}, err
	}
	var a answer
	if build != nil {
		if err := s.mayReadAgain(c, &r); err != nil {
			return answer{}, err
		}
		var err error
		if a, err = build(c.ctx(), &r); err != nil {
			return answer{}, err
		}
	}
	a.position = r.Position
	return a, nil
}

// mayReadAgain refuses to show what a repeated command did the first time to
// whoever may not see its boards now: its author may have lost them, or come with
// a token of other boards.
func (s *Server) mayReadAgain(c *call, r *commands.Receipt) error {
	if !r.Repeated {
		return nil
	}
	seen := map[int64]bool{}
	for i := range r.Events {
		board := r.Events[i].BoardID
		if board == 0 || seen[board] {
			continue
		}
		seen[board] = true
		err := s.mayRead(c.ctx(), c.principal, board)
		if events.CodeOf(err) == events.CodeNotFound && c.principal.Scope.Limit(board, events.PM) != events.NoRole && endsSight(r, board, c.principal.Actor.ID) {
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// endsSight reports whether the command itself took the board from the user, who
// may hear of that again.
func endsSight(r *commands.Receipt, board, user int64) bool {
	for i := range r.Events {
		if r.Events[i].BoardID != board {
			continue
		}
		switch fact, _ := r.Events[i].Payload(); f := fact.(type) {
		case events.BoardDeleted:
			return true
		case events.MemberRemoved:
			if f.UserID == user {
				return true
			}
		default: // nobody lost the board by it
		}
	}
	return false
}

func prefersMinimal(header string) bool {
	return header != "" && strings.Contains(strings.ReplaceAll(header, " ", ""), "return=minimal")
}

// await blocks until queries can see pos, for a bounded time.
func (s *Server) await(ctx context.Context, pos int64) error {
	if s.deps.Watermark.Position() >= pos {
		return nil
	}
	wait, cancel := context.WithTimeout(ctx, s.cfg.Wait)
	defer cancel()
	if s.deps.Watermark.Wait(wait, pos) == nil {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return &events.Error{
		Code: events.CodeUnavailable, RetryAfter: time.Second,
		Message: "The read model has not reached position " + strconv.FormatInt(pos, 10) + " yet. Try again in a moment.",
	}
}

// waitMin makes a read wait for the position that its caller knows of, and says
// at which position it reads.
func (s *Server) waitMin(c *call) error {
	if h := c.header("Kanban-Min-Position"); h != "" {
		pos, err := strconv.ParseInt(h, 10, 64)
		if err != nil || pos < 0 {
			return events.Errorf(events.CodeInvalid, "Kanban-Min-Position must be a position: an integer of 0 or more.")
		}
		if err := s.await(c.ctx(), pos); err != nil {
			return err
		}
	}
	// Taken before the query runs: what is read reflects at least this.
	c.gin.Writer.Header().Set("Kanban-Position", strconv.FormatInt(s.deps.Watermark.Position(), 10))
	return nil
}

// newerLimit bounds the events in a 412.
const newerLimit = 100

// explain adds to a version mismatch what happened since the version that the
// caller had, so that it can go on without another request.
func (s *Server) explain(c *call, err error, cmds []commands.Command) error {
	var e *events.Error
	if !errors.As(err, &e) || e.Code != events.CodeVersionMismatch || len(cmds) != 1 {
		return err
	}
	board, ticket, ok := s.target(c.ctx(), cmds[0])
	if !ok {
		return err
	}
	newer, readErr := s.newer(c.ctx(), board, ticket, e.Since)
	if readErr != nil {
		s.log.Warn("newer events for a conflict", "request_id", c.id, "error", readErr)
		return err
	}
	p := newProblem(e)
	if p.NewerEvents, readErr = json.Marshal(newer); readErr != nil {
		return err
	}
	return p
}

// newer returns the events of a ticket, or of the board itself where ticket is
// 0, above a version.
func (s *Server) newer(ctx context.Context, board, ticket, since int64) ([]*events.Envelope, error) {
	found := []*events.Envelope{}
	q := events.Query{Stream: events.BoardStream(board), AfterVersion: since, TicketID: ticket}
	for e, err := range events.All(ctx, s.deps.Log, q) {
		if err != nil {
			return nil, err
		}
		if e.TicketID != ticket || keepsVersion(e.Type) {
			continue
		}
		if found = append(found, e); len(found) == newerLimit {
			break
		}
	}
	return found, nil
}

// keepsVersion tells the events about a ticket that leave it as it is.
func keepsVersion(t events.Type) bool {
	switch t {
	case events.TypeCommentAdded, events.TypeCommentUpdated, events.TypeCommentDeleted, events.TypeUsageRecorded:
		return true
	default:
		return false
	}
}
