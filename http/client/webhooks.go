package client

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

// Webhook is where events of a board are sent, and how far that is. URL lacks
// what may be secret in it. Secret is filled in only by AddWebhook, and by
// UpdateWebhook where it made a new one.
type Webhook struct {
	ID             int64         `json:"id"`
	BoardID        int64         `json:"board_id"`
	URL            string        `json:"url"`
	Types          []events.Type `json:"types"` // empty = all
	Active         bool          `json:"active"`
	OffReason      string        `json:"off_reason,omitempty"` // why the server switched it off
	Secret         string        `json:"secret,omitempty"`
	OldSecretUntil *time.Time    `json:"old_secret_until"`
	Position       int64         `json:"position"` // everything up to here was delivered or given up
	Attempts       int           `json:"attempts"` // of the next event, that failed
	NextAttemptAt  *time.Time    `json:"next_attempt_at"`
	LastStatus     int           `json:"last_status,omitempty"` // 0 = no reply
	LastError      string        `json:"last_error,omitempty"`
	Delivered      int64         `json:"delivered"`
	DeliveredAt    *time.Time    `json:"delivered_at"`
	DeadLetters    int64         `json:"dead_letters"`
	CreatedBy      string        `json:"created_by"`
	CreatedAt      time.Time     `json:"created_at"`
	UpdatedAt      time.Time     `json:"updated_at"`
}

// NewWebhook asks for a webhook. FromPosition is the first position to send, nil
// = from now on.
type NewWebhook struct {
	URL          string        `json:"url"`
	Types        []events.Type `json:"types,omitempty"`
	FromPosition *int64        `json:"from_position,omitempty"`
}

// WebhookChange is what is to change: a URL that is not empty, Types and Active
// that are not nil. RotateSecret makes a new secret; the old one signs too for a
// day.
type WebhookChange struct {
	URL          string         `json:"url,omitempty"`
	Types        *[]events.Type `json:"types,omitempty"`
	Active       *bool          `json:"active,omitempty"`
	RotateSecret bool           `json:"rotate_secret,omitempty"`
}

// DeadLetter is an event that a webhook gave up.
type DeadLetter struct {
	ID       int64       `json:"id"`
	Position int64       `json:"position"`
	EventID  string      `json:"event_id"`
	Type     events.Type `json:"type"`
	Attempts int         `json:"attempts"`
	Status   int         `json:"status"` // of the last attempt, 0 = no reply
	Error    string      `json:"error"`
	Queued   bool        `json:"queued"` // about to be tried again
	FailedAt time.Time   `json:"failed_at"`
}

// WebhookTest is how a test went.
type WebhookTest struct {
	OK     bool   `json:"ok"`
	Status int    `json:"status"` // 0 = no reply
	Error  string `json:"error,omitempty"`
	TookMS int64  `json:"took_ms"`
}

// Replay says what to send again: one dead letter, or everything from a position
// on; the zero value is all dead letters.
type Replay struct {
	Delivery     int64  `json:"delivery,omitempty"`
	FromPosition *int64 `json:"from_position,omitempty"`
}

func webhookPath(board commands.Ref, id int64, more ...string) []string {
	return append([]string{"api", "boards", ref(board), "webhooks", strconv.FormatInt(id, 10)}, more...)
}

// Webhooks lists those of a board; only its pm may.
func (c *Client) Webhooks(ctx context.Context, board commands.Ref) (Page[Webhook], error) {
	return get[Page[Webhook]](ctx, c, nil, "api", "boards", ref(board), "webhooks")
}

// Webhook returns one.
func (c *Client) Webhook(ctx context.Context, board commands.Ref, id int64) (Webhook, error) {
	return get[Webhook](ctx, c, nil, webhookPath(board, id)...)
}

// AddWebhook sends events of the board to an address; the secret of the reply is
// shown this once.
func (c *Client) AddWebhook(ctx context.Context, board commands.Ref, w NewWebhook) (Webhook, error) {
	return send[Webhook](ctx, c, http.MethodPost, w, "api", "boards", ref(board), "webhooks")
}

// UpdateWebhook changes what is given.
func (c *Client) UpdateWebhook(ctx context.Context, board commands.Ref, id int64, change WebhookChange) (Webhook, error) {
	return send[Webhook](ctx, c, http.MethodPatch, change, webhookPath(board, id)...)
}

// RemoveWebhook ends a webhook and forgets its dead letters.
func (c *Client) RemoveWebhook(ctx context.Context, board commands.Ref, id int64) error {
	return c.do(ctx, request{method: http.MethodDelete, path: join(webhookPath(board, id)...)}, nil)
}

// TestWebhook has a message of type webhook_test sent now.
func (c *Client) TestWebhook(ctx context.Context, board commands.Ref, id int64) (WebhookTest, error) {
	return send[WebhookTest](ctx, c, http.MethodPost, nil, webhookPath(board, id, "test")...)
}

// DeadLetters lists what a webhook gave up, in the order of the log.
func (c *Client) DeadLetters(ctx context.Context, board commands.Ref, id int64, p Paging) (Page[DeadLetter], error) {
	return get[Page[DeadLetter]](ctx, c, p.values(), webhookPath(board, id, "deliveries")...)
}

// ReplayWebhook sends again.
func (c *Client) ReplayWebhook(ctx context.Context, board commands.Ref, id int64, r Replay) (Webhook, error) {
	return send[Webhook](ctx, c, http.MethodPost, r, webhookPath(board, id, "replay")...)
}
