package http

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/live"
)

type eventFilter struct {
	After       int64  `query:"after" minimum:"0" doc:"Events above this position"`
	Before      int64  `query:"before" minimum:"0" doc:"Events below this position; 0 = all"`
	Order       string `query:"order" enum:"asc,desc" doc:"asc is oldest first, desc newest first; where it is not said: desc with before, else asc"`
	Cursor      string `query:"cursor" doc:"next_cursor of the page before"`
	Board       string `query:"board" doc:"Id or key"`
	Ticket      string `query:"ticket" doc:"Id or key"`
	Type        string `query:"type" doc:"One type or several, separated by commas"`
	Actor       string `query:"actor" doc:"Name"`
	Limit       int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	LastEventID string `header:"Last-Event-ID" doc:"For a stream: resume after this position; wins over after"`
	Accept      string `header:"Accept" doc:"text/event-stream follows the log"`
}

type eventPage struct {
	Items      []*events.Envelope `json:"items"`
	NextCursor *string            `json:"next_cursor" doc:"null = nothing more yet"`
	Position   int64              `json:"position" doc:"Last position looked at; 0 where newest first and nothing was there"`
}

type logHead struct {
	LogID    string      `json:"log_id"`
	Position int64       `json:"position"`
	Hash     events.Hash `json:"hash"`
}

const streamType = "text/event-stream"

func (s *Server) logRoutes() {
	const tag = "log"
	register(s, op{method: "GET", path: "/api/events", id: "list_events", summary: "The log, oldest first or, with before or order=desc, newest first; with Accept: text/event-stream it follows", tag: tag, reply: eventPage{}, media: []string{streamType}},
		func(c *call, in *eventFilter) (answer, error) {
			q, err := s.eventQuery(c, in)
			if err != nil {
				return answer{}, err
			}
			if strings.Contains(in.Accept, streamType) {
				if q.Descending || in.Before > 0 {
					return answer{}, errStreamBackwards
				}
				return answer{done: true}, s.follow(c, q)
			}
			p, err := s.eventPage(c, q, in.Limit)
			return answer{view: p}, err
		})
	register(s, op{method: "GET", path: "/api/log/head", id: "log_head", summary: "The end of the log: position and hash, to compare with a copy", tag: tag, reply: logHead{}},
		func(c *call, _ *nothing) (answer, error) {
			h, err := s.deps.Log.Head(c.ctx())
			return answer{view: logHead{LogID: s.deps.Log.LogID(), Position: h.Position, Hash: h.Hash}, position: h.Position}, err
		})
}

func (s *Server) eventQuery(c *call, in *eventFilter) (events.Query, error) {
	q := events.Query{After: in.After, Actor: in.Actor, Descending: in.Order == "desc" || in.Order == "" && in.Before > 0}
	before := in.Before
	for name, text := range map[string]string{"cursor": in.Cursor, "Last-Event-ID": in.LastEventID} {
		if text == "" {
			continue
		}
		pos, err := strconv.ParseInt(text, 10, 64)
		if err != nil || pos < 0 {
			return q, &events.Error{
				Code: events.CodeInvalid, Message: name + " must be a position.", Fields: map[string]string{name: "must be a position"},
			}
		}
		switch {
		case !q.Descending:
			q.After = max(q.After, pos)
		case name == "cursor" && (before == 0 || pos < before):
			before = max(pos, 1)
		}
	}
	if before > 0 {
		q.UpTo = below(before)
	}
	if in.Board != "" {
		id, err := s.readable(c, commands.Ref(in.Board))
		if err != nil {
			return q, err
		}
		q.BoardID, q.Stream = id, events.BoardStream(id)
	}
	if in.Ticket != "" {
		board, ticket, err := s.readableTicket(c, commands.Ref(in.Ticket))
		if err != nil {
			return q, err
		}
		if q.BoardID != 0 && q.BoardID != board {
			return q, errNoTicket
		}
		q.TicketID, q.BoardID, q.Stream = ticket, board, events.BoardStream(board)
	}
	if in.Type != "" {
		known := events.Types()
		for t := range strings.SplitSeq(in.Type, ",") {
			t := events.Type(strings.TrimSpace(t))
			if !slices.Contains(known, t) {
				return q, &events.Error{
					Code: events.CodeInvalid, Message: "There is no such type of event. See /docs for the list.",
					Fields: map[string]string{"type": "is not a type of event"},
				}
			}
			q.Types = append(q.Types, t)
		}
	}
	return q, nil
}

var errStreamBackwards = events.Errorf(events.CodeInvalid, "A stream goes forward: leave out before and order=desc, or ask for JSON.")

// below bounds a query to what comes before a position, -1 where that is nothing.
func below(position int64) int64 {
	if position <= 1 {
		return -1
	}
	return position - 1
}

// scanLimit bounds how many events one request looks at to find some that its
// caller may see.
const scanLimit = 5000

func (s *Server) eventPage(c *call, q events.Query, limit int) (eventPage, error) {
	out := eventPage{Items: make([]*events.Envelope, 0, min(limit, 128))}
	if !q.Descending {
		out.Position = q.After
	}
	sight := s.sight(c.principal)
	for scanned := 0; scanned < scanLimit && q.UpTo >= 0; {
		q.Limit = limit
		page, err := s.deps.Log.Read(c.ctx(), q)
		if err != nil {
			return out, err
		}
		for i := range page {
			e := &page[i]
			visible, err := sight.sees(c.ctx(), e)
			if err != nil {
				return out, err
			}
			if out.Position = e.Position; q.Descending {
				q.UpTo = below(e.Position)
			} else {
				q.After = e.Position
			}
			if visible {
				out.Items = append(out.Items, e)
			}
			if len(out.Items) == limit {
				break
			}
		}
		if len(out.Items) == limit || scanned+len(page) >= scanLimit {
			next := strconv.FormatInt(out.Position, 10)
			out.NextCursor = &next
			return out, nil
		}
		if len(page) < limit {
			return out, nil
		}
		scanned += len(page)
	}
	return out, nil
}

// sight decides, event by event, what one principal may see, and remembers it
// per board until an event may have changed it.
type sight struct {
	s      *Server
	p      auth.Principal
	boards map[int64]bool
}

func (s *Server) sight(p auth.Principal) *sight {
	return &sight{s: s, p: p, boards: map[int64]bool{}}
}

func (v *sight) sees(ctx context.Context, e *events.Envelope) (bool, error) {
	if e.BoardID == 0 {
		return live.SeesPersonal(&v.p, e), nil
	}
	visible, known := v.boards[e.BoardID]
	if known {
		return visible, nil
	}
	err := v.s.mayRead(ctx, v.p, e.BoardID)
	if err != nil && events.CodeOf(err) != events.CodeNotFound {
		return false, err
	}
	v.boards[e.BoardID] = err == nil
	return err == nil, nil
}

// matchesQuery is what the table's WHERE does, for events that come live.
func matchesQuery(e *events.Envelope, q *events.Query) bool {
	return e.Position > q.After &&
		(q.BoardID == 0 || e.BoardID == q.BoardID) &&
		(q.TicketID == 0 || e.TicketID == q.TicketID) &&
		(len(q.Types) == 0 || slices.Contains(q.Types, e.Type)) &&
		(q.Actor == "" || e.Actor.Name == q.Actor)
}

// follow is the SSE stream: first what the log has after the position, then
// what comes, each event once, with its position as id.
func (s *Server) follow(c *call, q events.Query) error {
	ctx, cancel := context.WithCancel(c.ctx())
	defer cancel()
	defer context.AfterFunc(s.stopping, cancel)()
	p := c.principal.Lasting()
	if !p.Expires.IsZero() {
		var stop context.CancelFunc
		ctx, stop = context.WithDeadline(ctx, p.Expires)
		defer stop()
	}
	w := c.gin.Writer
	rc := http.NewResponseController(w)
	h := w.Header()
	h.Set("Content-Type", streamType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	// The request's own deadlines would end the stream.
	_ = rc.SetReadDeadline(time.Time{})
	out := &sse{w: w, rc: rc}
	w.WriteHeader(http.StatusOK)
	if err := out.comment("log " + s.deps.Log.LogID()); err != nil {
		return nil
	}
	sight := s.sight(p)
	// With a narrow query the past is read by index; without, by the cursor.
	from := q.After
	if q.Stream != "" || len(q.Types) > 0 || q.Actor != "" {
		head, err := s.deps.Log.Head(ctx)
		if err != nil {
			return s.endStream(c, err)
		}
		if err := s.deps.Watermark.Wait(ctx, head.Position); err != nil {
			return s.endStream(c, err)
		}
		if err := s.past(ctx, out, sight, q, head.Position); err != nil {
			return s.endStream(c, err)
		}
		from = max(from, head.Position)
	}
	return s.endStream(c, s.present(ctx, out, sight, q, s.deps.Subscribe(from)))
}

// endStream logs why a stream ended where that is news. The reply has begun, so
// nothing can be told to the client, which comes again with Last-Event-ID.
func (s *Server) endStream(c *call, err error) error {
	var net *writeError
	if err != nil && c.ctx().Err() == nil && s.stopping.Err() == nil && !errors.As(err, &net) &&
		!errors.Is(err, context.DeadlineExceeded) && events.CodeOf(err) == events.CodeInternal {
		s.log.Error("event stream ended", "request_id", c.id, "error", err)
	}
	return nil
}

func (s *Server) past(ctx context.Context, out *sse, sight *sight, q events.Query, upTo int64) error {
	if q.UpTo = upTo; q.After >= upTo {
		return nil
	}
	for e, err := range events.All(ctx, s.deps.Log, q) {
		if err != nil {
			return err
		}
		if err := out.maybe(ctx, sight, e); err != nil {
			return err
		}
	}
	return out.flush()
}

func (s *Server) present(ctx context.Context, out *sse, sight *sight, q events.Query, sub Subscription) error {
	checked := time.Now()
	for {
		beat, cancel := context.WithTimeout(ctx, s.cfg.Heartbeat)
		batch, err := sub.Next(beat)
		cancel()
		if time.Since(checked) >= s.cfg.Heartbeat { // a session ends without an event
			checked = time.Now()
			if _, err := s.deps.Auth.Check(ctx, sight.p); events.CodeOf(err) == events.CodeUnauthenticated {
				return err
			}
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, context.DeadlineExceeded):
			if err := out.comment("still here"); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		// As for a socket: what the client hears of, it can read back.
		if err := s.deps.Watermark.Wait(ctx, batch[len(batch)-1].Position); err != nil {
			return err
		}
		for i := range batch {
			e := &batch[i]
			if live.ChangesAccess(e) {
				if e.BoardID != 0 {
					delete(sight.boards, e.BoardID)
				} else if sight.p.Actor.ID == events.StreamID(e.Stream) {
					p, err := s.deps.Auth.Check(ctx, sight.p)
					if err != nil {
						return err
					}
					*sight = *s.sight(p)
				}
			}
			if !matchesQuery(e, &q) {
				continue
			}
			if err := out.maybe(ctx, sight, e); err != nil {
				return err
			}
		}
		if err := out.flush(); err != nil {
			return err
		}
	}
}

// sse writes the stream. A client that takes no bytes for replyTimeout is gone.
type sse struct {
	w     http.ResponseWriter
	rc    *http.ResponseController
	buf   []byte
	dirty bool
}

type writeError struct{ error }

func (o *sse) maybe(ctx context.Context, sight *sight, e *events.Envelope) error {
	visible, err := sight.sees(ctx, e)
	if err != nil || !visible {
		return err
	}
	b := append(o.buf[:0], "id: "...)
	b = strconv.AppendInt(b, e.Position, 10)
	b = append(b, "\nevent: "...)
	b = append(b, e.Type...)
	b = append(b, "\ndata: "...)
	b = append(b, e.JSON()...)
	o.buf = append(b, '\n', '\n')
	return o.write(o.buf)
}

func (o *sse) comment(text string) error {
	if err := o.write([]byte(": " + text + "\n\n")); err != nil {
		return err
	}
	return o.flush()
}

func (o *sse) write(b []byte) error {
	if !o.dirty {
		_ = o.rc.SetWriteDeadline(time.Now().Add(replyTimeout))
		o.dirty = true
	}
	if _, err := o.w.Write(b); err != nil {
		return &writeError{err}
	}
	return nil
}

func (o *sse) flush() error {
	o.dirty = false
	if err := o.rc.Flush(); err != nil {
		return &writeError{err}
	}
	return nil
}
