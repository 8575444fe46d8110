package http

import (
	"context"
	"database/sql"
	"net/http"
	"strconv"
	"time"

	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/webhook"
)

type newWebhook struct {
	URL          string        `json:"url" doc:"https://…; never shown again, because it may hold a secret"`
	Types        []events.Type `json:"types,omitempty" doc:"Types of events to send; empty = all"`
	FromPosition *int64        `json:"from_position,omitempty" doc:"The first position to send, 1 = from the beginning; left out = from now on"`
}

type webhookPatch struct {
	URL          string        `json:"url,omitempty"`
	Types        []events.Type `json:"types,omitempty" doc:"The whole list; empty = all. For what happens from now on"`
	Active       *bool         `json:"active,omitempty" doc:"true goes on where it was switched off"`
	RotateSecret bool          `json:"rotate_secret,omitempty" doc:"Make a new secret; the old one signs too for a day"`
}

type replayOrder struct {
	Delivery     int64  `json:"delivery,omitempty" doc:"Id of one dead letter; left out = all of them"`
	FromPosition *int64 `json:"from_position,omitempty" doc:"Instead: send everything again from this position on"`
}

type webhookView struct {
	ID        int64         `json:"id"`
	BoardID   int64         `json:"board_id"`
	URL       string        `json:"url" doc:"Without what may be secret"`
	Types     []events.Type `json:"types" doc:"Empty = all"`
	Active    bool          `json:"active"`
	OffReason string        `json:"off_reason,omitempty" doc:"Why the server switched it off"`
	Secret    string        `json:"secret,omitempty" doc:"For checking signatures (Standard Webhooks), shown this once"`
	// The old one signs too until then, after a rotation.
	OldSecretUntil *time.Time `json:"old_secret_until"`
	Position       int64      `json:"position" doc:"Everything up to here was delivered or given up"`
	Attempts       int        `json:"attempts" doc:"Of the next event, that failed"`
	NextAttemptAt  *time.Time `json:"next_attempt_at"`
	LastStatus     int        `json:"last_status,omitempty" doc:"HTTP status of the last attempt, 0 = no reply"`
	LastError      string     `json:"last_error,omitempty"`
	Delivered      int64      `json:"delivered"`
	DeliveredAt    *time.Time `json:"delivered_at"`
	DeadLetters    int64      `json:"dead_letters"`
	CreatedBy      string     `json:"created_by"`
	CreatedAt      time.Time  `json:"created_at"`
	UpdatedAt      time.Time  `json:"updated_at"`
}

type deadLetterView struct {
	ID       int64       `json:"id"`
	Position int64       `json:"position"`
	EventID  string      `json:"event_id"`
	Type     events.Type `json:"type"`
	Attempts int         `json:"attempts"`
	Status   int         `json:"status" doc:"HTTP status of the last attempt, 0 = no reply"`
	Error    string      `json:"error" doc:"Of the last attempt, with at most 500 bytes of the reply"`
	Queued   bool        `json:"queued" doc:"About to be tried again"`
	FailedAt time.Time   `json:"failed_at"`
}

type webhookTest struct {
	OK     bool   `json:"ok"`
	Status int    `json:"status" doc:"HTTP status, 0 = no reply"`
	Error  string `json:"error,omitempty"`
	TookMS int64  `json:"took_ms"`
}

// WebhookPath names a webhook of a board.
type WebhookPath struct {
	BoardPath
	Webhook int64 `path:"webhook"`
}

func (p WebhookPath) board() commands.Ref { return commands.Ref(p.ID) }

func (s *Server) webhookRoutes() {
	if s.deps.Webhooks == nil {
		return
	}
	const tag, base, one = "webhooks", "/api/boards/{id}/webhooks", "/api/boards/{id}/webhooks/{webhook}"
	register(s, op{method: "GET", path: base, id: "list_webhooks", summary: "Where events of the board are sent; pm only, as everything here", tag: tag, reply: list[webhookView]{}}, s.listWebhooks)
	register(s, op{method: "POST", path: base, id: "add_webhook", summary: "Send events to an address, signed after Standard Webhooks", tag: tag, status: http.StatusCreated, reply: webhookView{}}, s.addWebhook)
	register(s, op{method: "GET", path: one, id: "get_webhook", summary: "How far a webhook is, and how its last attempt went", tag: tag, reply: webhookView{}},
		func(c *call, in *WebhookPath) (answer, error) {
			w, err := s.webhook(c, *in)
			return answer{view: viewWebhook(&w)}, err
		})
	register(s, op{method: "PATCH", path: one, id: "update_webhook", summary: "Change what is given; the next attempt is at once", tag: tag, reply: webhookView{}}, s.updateWebhook)
	register(s, op{method: "DELETE", path: one, id: "remove_webhook", summary: "Stop sending, and forget its dead letters", tag: tag, status: http.StatusNoContent}, s.removeWebhook)
	register(s, op{method: "POST", path: one + "/test", id: "test_webhook", summary: "Send a message of type webhook_test now and say how it went", tag: tag, reply: webhookTest{}}, s.testWebhook)
	register(s, op{method: "GET", path: one + "/deliveries", id: "list_dead_letters", summary: "Events that were given up, in their order", tag: tag, reply: list[deadLetterView]{}}, s.listDeadLetters)
	register(s, op{method: "POST", path: one + "/replay", id: "replay_webhook", summary: "Try dead letters again, or send everything again from a position on", tag: tag, reply: webhookView{}}, s.replayWebhook)
}

// managed resolves a board that the caller is pm of.
func (s *Server) managed(c *call, ref commands.Ref) (int64, error) {
	id, err := s.boardID(c.ctx(), ref)
	if err != nil {
		return 0, err
	}
	role, err := s.deps.Queries.Access(c.ctx(), id, viewer(c.principal))
	if err == nil && !role.May(events.MayManageBoard) {
		err = events.Errorf(events.CodeForbidden, "Only a pm of this board may see and change its webhooks. Ask one of them.")
	}
	return id, err
}

// webhook reads one that the caller may manage.
func (s *Server) webhook(c *call, in WebhookPath) (webhook.Webhook, error) {
	board, err := s.managed(c, in.board())
	if err != nil {
		return webhook.Webhook{}, err
	}
	return s.deps.Webhooks.Get(c.ctx(), board, in.Webhook)
}

func (s *Server) listWebhooks(c *call, in *BoardPath) (answer, error) {
	board, err := s.managed(c, commands.Ref(in.ID))
	if err != nil {
		return answer{}, err
	}
	hooks, err := s.deps.Webhooks.List(c.ctx(), board)
	views := make([]webhookView, len(hooks))
	for i := range hooks {
		views[i] = viewWebhook(&hooks[i])
	}
	return answer{view: listOf(views)}, err
}

// from checks a first position to send; head is the end of the log.
func (s *Server) from(ctx context.Context, position *int64) (int64, error) {
	if position == nil {
		return 0, nil
	}
	head, err := s.deps.Log.Head(ctx)
	if err != nil {
		return 0, err
	}
	if *position < 1 || *position > head.Position+1 {
		reason := "must be between 1 and " + strconv.FormatInt(head.Position+1, 10) + ", the next position"
		return 0, &events.Error{Code: events.CodeInvalid, Message: "from_position " + reason + ".", Fields: map[string]string{"from_position": reason}}
	}
	return *position, nil
}

// webhookMeta is meta for requests that may hold a secret address: its sum alone
// must not tell it.
func (s *Server) webhookMeta(c *call) (commands.Meta, error) {
	meta, err := s.meta(c)
	meta.RequestSHA = s.deps.Auth.Blind(meta.RequestSHA)
	return meta, err
}

func (s *Server) addWebhook(c *call, in *struct {
	BoardPath
	Body newWebhook
},
) (answer, error) {
	b := &in.Body
	if _, err := s.managed(c, commands.Ref(in.ID)); err != nil {
		return answer{}, err
	}
	host, err := s.deps.Webhooks.Check(b.URL)
	if err != nil {
		return answer{}, err
	}
	from, err := s.from(c.ctx(), b.FromPosition)
	if err != nil {
		return answer{}, err
	}
	meta, err := s.webhookMeta(c)
	if err != nil {
		return answer{}, err
	}
	// The position alone would be a secret that nobody ever sees.
	c.gin.Request.Header.Del("Prefer")
	hook := webhook.Webhook{URL: auth.SecretOf(b.URL), Secret: webhook.NewSecret(), CreatedBy: c.principal.Actor.Name}
	meta.With = func(ctx context.Context, tx *sql.Tx, r commands.Receipt) error {
		fact, err := payload[events.WebhookAdded](&r)
		if err != nil {
			return err
		}
		hook.ID, hook.Types, hook.Board = fact.WebhookID, fact.Types, r.Events[len(r.Events)-1].BoardID
		if hook.Cursor = r.Position; from > 0 {
			hook.Cursor = from - 1
		}
		return s.deps.Webhooks.Insert(ctx, tx, hook)
	}
	return s.writeAs(c, meta, func(ctx context.Context, r *commands.Receipt) (answer, error) {
		if r.Repeated {
			return answer{}, events.Errorf(events.CodeConflict, "This webhook was already made, and its secret is shown once. Rotate its secret, or delete it and make another with a new Idempotency-Key.")
		}
		stored, err := s.deps.Webhooks.Get(ctx, hook.Board, hook.ID)
		if err != nil {
			return answer{}, err
		}
		view := viewWebhook(&stored)
		view.Secret = hook.Secret.Reveal()
		return answer{view: view, location: locate("boards", hook.Board) + "/webhooks/" + strconv.FormatInt(hook.ID, 10)}, nil
	}, commands.AddWebhook{Board: commands.Ref(in.ID), Host: host, Types: b.Types})
}

func (s *Server) updateWebhook(c *call, in *struct {
	WebhookPath
	Body webhookPatch
},
) (answer, error) {
	b := &in.Body
	hook, err := s.webhook(c, in.WebhookPath)
	if err != nil {
		return answer{}, err
	}
	change := webhook.Change{URL: auth.SecretOf(b.URL), Types: b.Types, Active: b.Active}
	cmd := commands.UpdateWebhook{Board: in.board(), WebhookID: hook.ID, Types: b.Types, Active: b.Active, Touched: b.URL != "" || b.RotateSecret}
	if b.URL != "" {
		if cmd.Host, err = s.deps.Webhooks.Check(b.URL); err != nil {
			return answer{}, err
		}
	}
	if b.Types != nil {
		if change.Settled, err = s.deps.Webhooks.Settled(c.ctx(), &hook); err != nil {
			return answer{}, err
		}
	}
	if b.RotateSecret {
		change.Secret = webhook.NewSecret()
		c.gin.Request.Header.Del("Prefer")
	}
	return s.changeWebhook(c, &hook, cmd, func(ctx context.Context, tx *sql.Tx) error {
		return s.deps.Webhooks.Apply(ctx, tx, hook.ID, change)
	}, change.Secret)
}

// changeWebhook carries out a command together with the change of the row, and
// answers with the webhook as it then is. A command that changes nothing that is
// recorded still decides whether the caller may.
func (s *Server) changeWebhook(c *call, hook *webhook.Webhook, cmd commands.Command, change func(ctx context.Context, tx *sql.Tx) error, secret auth.Secret) (answer, error) {
	meta, err := s.webhookMeta(c)
	if err != nil {
		return answer{}, err
	}
	meta.With = func(ctx context.Context, tx *sql.Tx, _ commands.Receipt) error { return change(ctx, tx) }
	a, err := s.writeAs(c, meta, func(ctx context.Context, r *commands.Receipt) (answer, error) {
		if r.Repeated && !secret.IsZero() {
			return answer{}, events.Errorf(events.CodeConflict, "This secret was already made, and it is shown once. Rotate it again with a new Idempotency-Key.")
		}
		now, err := s.deps.Webhooks.Get(ctx, hook.Board, hook.ID)
		view := viewWebhook(&now)
		view.Secret = secret.Reveal()
		return answer{view: view}, err
	}, cmd)
	s.deps.Webhooks.Reload(hook.Board, hook.ID) // even after an error: the commit may have happened
	return a, err
}

func (s *Server) removeWebhook(c *call, in *WebhookPath) (answer, error) {
	board, err := s.managed(c, in.board())
	if err != nil {
		return answer{}, err
	}
	meta, err := s.meta(c)
	if err != nil {
		return answer{}, err
	}
	meta.With = func(ctx context.Context, tx *sql.Tx, _ commands.Receipt) error {
		return s.deps.Webhooks.Remove(ctx, tx, in.Webhook)
	}
	a, err := s.writeAs(c, meta, nil, commands.RemoveWebhook{Board: in.board(), WebhookID: in.Webhook})
	s.deps.Webhooks.Reload(board, in.Webhook)
	return a, err
}

func (s *Server) testWebhook(c *call, in *WebhookPath) (answer, error) {
	hook, err := s.webhook(c, *in)
	if err != nil {
		return answer{}, err
	}
	// It changes nothing, but decides whether the caller may just now.
	meta := commands.Meta{Actor: c.principal.Actor, Scope: c.principal.Scope}
	if _, err := s.deps.Commands.Do(c.ctx(), meta, commands.UpdateWebhook{Board: commands.RefID(hook.Board), WebhookID: hook.ID}); err != nil {
		return answer{}, err
	}
	out, err := s.deps.Webhooks.Test(c.ctx(), &hook)
	return answer{view: webhookTest{OK: out.OK(), Status: out.Status, Error: out.Error, TookMS: out.Took.Milliseconds()}}, err
}

func (s *Server) listDeadLetters(c *call, in *struct {
	WebhookPath
	PageQuery
},
) (answer, error) {
	hook, err := s.webhook(c, in.WebhookPath)
	if err != nil {
		return answer{}, err
	}
	var after int64
	if in.Cursor != "" {
		if after, err = strconv.ParseInt(in.Cursor, 10, 64); err != nil || after < 0 {
			return answer{}, &events.Error{Code: events.CodeInvalid, Message: "cursor must be a next_cursor.", Fields: map[string]string{"cursor": "must be a next_cursor"}}
		}
	}
	letters, err := s.deps.Webhooks.DeadLetters(c.ctx(), hook.ID, after, in.Limit+1)
	if err != nil {
		return answer{}, err
	}
	out := list[deadLetterView]{Items: []deadLetterView{}, Total: hook.DeadLetters}
	if len(letters) > in.Limit {
		letters = letters[:in.Limit]
		next := strconv.FormatInt(letters[in.Limit-1].Position, 10)
		out.NextCursor = &next
	}
	for _, l := range letters {
		out.Items = append(out.Items, deadLetterView(l))
	}
	return answer{view: out}, nil
}

func (s *Server) replayWebhook(c *call, in *struct {
	WebhookPath
	Body *replayOrder
},
) (answer, error) {
	hook, err := s.webhook(c, in.WebhookPath)
	if err != nil {
		return answer{}, err
	}
	var b replayOrder
	if in.Body != nil {
		b = *in.Body
	}
	switch {
	case !hook.Active:
		return answer{}, events.Errorf(events.CodeConflict, "Webhook %d is switched off. Switch it on first: active true.", hook.ID)
	case b.Delivery != 0 && b.FromPosition != nil:
		return answer{}, events.Errorf(events.CodeInvalid, "Name a delivery or a from_position, not both.")
	case b.Delivery != 0:
		if _, err := s.deps.Webhooks.DeadLetter(c.ctx(), hook.ID, b.Delivery); err != nil {
			return answer{}, err
		}
	}
	from, err := s.from(c.ctx(), b.FromPosition)
	if err != nil {
		return answer{}, err
	}
	return s.changeWebhook(c, &hook, commands.UpdateWebhook{Board: in.board(), WebhookID: hook.ID}, func(ctx context.Context, tx *sql.Tx) error {
		if from > 0 {
			return s.deps.Webhooks.Apply(ctx, tx, hook.ID, webhook.Change{From: from})
		}
		return s.deps.Webhooks.Queue(ctx, tx, hook.ID, b.Delivery)
	}, auth.Secret{})
}

func viewWebhook(w *webhook.Webhook) webhookView {
	v := webhookView{
		ID: w.ID, BoardID: w.Board, URL: w.Masked(), Types: w.Types, Active: w.Active, OffReason: w.OffReason,
		Position: w.Cursor, Attempts: w.Attempts, LastStatus: w.LastStatus, LastError: w.LastError,
		Delivered: w.Delivered, DeadLetters: w.DeadLetters, CreatedBy: w.CreatedBy, CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt,
	}
	for _, optional := range []struct {
		at time.Time
		to **time.Time
	}{{w.NextAttempt, &v.NextAttemptAt}, {w.DeliveredAt, &v.DeliveredAt}, {w.OldUntil, &v.OldSecretUntil}} {
		if !optional.at.IsZero() {
			*optional.to = &optional.at
		}
	}
	return v
}
