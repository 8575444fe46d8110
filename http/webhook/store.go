package webhook

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/events"
)

// Updater runs write transactions whose last commits may be missing after a
// power cut: then what was delivered last is delivered again. sqlstore.DB is one.
type Updater interface {
	// UpdateRelaxed runs fn in one transaction and commits if fn returns nil.
	// The context it hands to fn outlives the caller's.
	UpdateRelaxed(ctx context.Context, fn func(ctx context.Context, tx *sql.Tx) error) error
}

// Webhook is one row: where events of a board go, and how far they are.
type Webhook struct {
	ID, Board int64
	URL       auth.Secret   // it may hold a key
	Types     []events.Type // never nil; empty = all
	Active    bool
	OffReason string // why the server switched it off, "" = it did not
	Secret    auth.Secret
	OldSecret auth.Secret // signs too until OldUntil
	OldUntil  time.Time
	// Cursor is the position up to which everything was delivered or given up.
	Cursor int64
	// Attempts of the next event failed; the next one is not before NextAttempt.
	Attempts    int
	NextAttempt time.Time
	GaveUp      int // dead letters since the last success
	LastStatus  int // of the last attempt, 0 = no reply
	LastError   string
	Delivered   int64
	DeliveredAt time.Time // zero = never
	CreatedBy   string
	CreatedAt   time.Time
	UpdatedAt   time.Time
	DeadLetters int64

	generation int64
}

// Host is the part of the address that is no secret, with a port if it has one.
func (w *Webhook) Host() string {
	u, err := url.Parse(w.URL.Reveal())
	if err != nil {
		return ""
	}
	return u.Host
}

// Masked is the address without what may be secret in it.
func (w *Webhook) Masked() string {
	u, err := url.Parse(w.URL.Reveal())
	if err != nil {
		return ""
	}
	masked := u.Scheme + "://" + u.Host
	if u.RequestURI() != "/" {
		masked += "/…"
	}
	return masked
}

// signers are the secrets that sign at a time, the newest first.
func (w *Webhook) signers(at time.Time) []auth.Secret {
	if w.OldSecret.IsZero() || !at.Before(w.OldUntil) {
		return []auth.Secret{w.Secret}
	}
	return []auth.Secret{w.Secret, w.OldSecret}
}

// wants reports whether events of the type are sent.
func (w *Webhook) wants(t events.Type) bool {
	if len(w.Types) == 0 {
		return true
	}
	for _, wanted := range w.Types {
		if wanted == t {
			return true
		}
	}
	return false
}

// Store keeps the rows. What people ask for is written in the transaction of the
// event that records it; the dispatcher writes how far it is.
type Store struct {
	reader *sql.DB
	db     Updater
	now    func() time.Time
	saved  func(w Webhook)
}

func notFound(id int64) error {
	return events.Errorf(events.CodeNotFound, "There is no webhook %d on this board.", id)
}

const columns = `id, board_id, url, types, active, off_reason, secret, old_secret, old_until, cursor, generation,
	attempts, next_attempt, gave_up, last_status, last_error, delivered, delivered_at, created_by, created_at, updated_at,
	(SELECT count(*) FROM webhook_dead_letters d WHERE d.webhook_id = webhooks.id)`

func scan(row interface{ Scan(dest ...any) error }) (Webhook, error) {
	var w Webhook
	var address, types, secret, old string
	var oldUntil, next, deliveredAt, created, updated int64
	err := row.Scan(&w.ID, &w.Board, &address, &types, &w.Active, &w.OffReason, &secret, &old, &oldUntil, &w.Cursor, &w.generation,
		&w.Attempts, &next, &w.GaveUp, &w.LastStatus, &w.LastError, &w.Delivered, &deliveredAt, &w.CreatedBy, &created, &updated, &w.DeadLetters)
	if err != nil {
		return w, err
	}
	w.URL, w.Secret, w.OldSecret = auth.SecretOf(address), auth.SecretOf(secret), auth.SecretOf(old)
	w.OldUntil, w.NextAttempt, w.DeliveredAt = fromMicros(oldUntil), fromMicros(next), fromMicros(deliveredAt)
	w.CreatedAt, w.UpdatedAt = fromMicros(created), fromMicros(updated)
	if err := json.Unmarshal([]byte(types), &w.Types); err != nil || w.Types == nil {
		// An empty list would send everything.
		return w, fmt.Errorf("the types of webhook %d are damaged", w.ID)
	}
	return w, nil
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// List returns the webhooks of a board, oldest first; never nil.
func (s *Store) List(ctx context.Context, board int64) ([]Webhook, error) {
	return s.list(ctx, `WHERE board_id = ? ORDER BY id`, board)
}

func (s *Store) list(ctx context.Context, where string, args ...any) ([]Webhook, error) {
	rows, err := s.reader.QueryContext(ctx, `SELECT `+columns+` FROM webhooks `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("list webhooks: %w", err)
	}
	defer func() { _ = rows.Close() }()
	list := []Webhook{}
	for rows.Next() {
		w, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("list webhooks: %w", err)
		}
		list = append(list, w)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list webhooks: %w", err)
	}
	return list, nil
}

// Get returns one webhook of a board, or CodeNotFound.
func (s *Store) Get(ctx context.Context, board, id int64) (Webhook, error) {
	w, err := s.byID(ctx, id)
	if err == nil && w.Board != board {
		return Webhook{}, notFound(id)
	}
	return w, err
}

func (s *Store) byID(ctx context.Context, id int64) (Webhook, error) {
	w, err := scan(s.reader.QueryRowContext(ctx, `SELECT `+columns+` FROM webhooks WHERE id = ?`, id))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Webhook{}, notFound(id)
	case err != nil:
		return Webhook{}, fmt.Errorf("read webhook %d: %w", id, err)
	}
	return w, nil
}

// Insert adds a webhook, active, in tx, which is that of its webhook_added event.
// It needs ID, Board, URL, Types, Secret, Cursor and CreatedBy.
func (s *Store) Insert(ctx context.Context, tx *sql.Tx, w Webhook) error {
	types, err := typesText(w.Types)
	if err != nil {
		return fmt.Errorf("store webhook %d: %w", w.ID, err)
	}
	now := micros(s.now())
	_, err = tx.ExecContext(ctx, `INSERT INTO webhooks (id, board_id, url, types, active, secret, cursor, created_by, created_at, updated_at) VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?, ?)`,
		w.ID, w.Board, w.URL.Reveal(), types, w.Secret.Reveal(), w.Cursor, w.CreatedBy, now, now)
	if err != nil {
		return fmt.Errorf("store webhook %d: %w", w.ID, err)
	}
	return nil
}

func typesText(types []events.Type) (string, error) {
	if types == nil {
		types = []events.Type{}
	}
	text, err := json.Marshal(types)
	return string(text), err
}

// Change is what is to become of a webhook; zero fields stay.
type Change struct {
	URL    auth.Secret
	Types  []events.Type // nil = as they are
	Active *bool
	Secret auth.Secret // the one before signs for KeepOld
	// Settled is a position up to which there is nothing to send under the types
	// as they were: new types begin after it. See Dispatcher.Settled.
	Settled int64
	// From is the first position to send, 0 = go on where it is.
	From int64
}

// Apply changes a webhook in tx, which is that of its webhook_updated event. What
// failed so far is forgotten: the next attempt is at once. Call Reload after the
// commit. A webhook without a row (imported) is no error.
func (s *Store) Apply(ctx context.Context, tx *sql.Tx, id int64, c Change) error {
	types := ""
	if c.Types != nil {
		var err error
		if types, err = typesText(c.Types); err != nil {
			return fmt.Errorf("change webhook %d: %w", id, err)
		}
	}
	now := s.now()
	_, err := tx.ExecContext(ctx, `UPDATE webhooks SET
			url = iif(?1 = '', url, ?1),
			types = iif(?2 = '', types, ?2),
			active = coalesce(?3, active), off_reason = iif(coalesce(?3, active), '', off_reason),
			old_until = iif(?4 = '', old_until, ?5), old_secret = iif(?4 = '', old_secret, secret), secret = iif(?4 = '', secret, ?4),
			cursor = iif(?7 > 0, ?7 - 1, max(cursor, ?6)),
			generation = generation + 1, attempts = 0, next_attempt = 0, gave_up = 0, updated_at = ?8
		WHERE id = ?9`,
		c.URL.Reveal(), types, c.Active, c.Secret.Reveal(), micros(now.Add(KeepOld)), c.Settled, c.From, micros(now), id)
	if err != nil {
		return fmt.Errorf("change webhook %d: %w", id, err)
	}
	return nil
}

// Remove deletes a webhook with its dead letters in tx, which is that of its
// webhook_removed event. Call Reload after the commit.
func (s *Store) Remove(ctx context.Context, tx *sql.Tx, id int64) error {
	for _, text := range []string{`DELETE FROM webhook_dead_letters WHERE webhook_id = ?`, `DELETE FROM webhooks WHERE id = ?`} {
		if _, err := tx.ExecContext(ctx, text, id); err != nil {
			return fmt.Errorf("remove webhook %d: %w", id, err)
		}
	}
	return nil
}

// SwitchOff makes a webhook inactive in tx, which is that of the event that says
// so.
func (s *Store) SwitchOff(ctx context.Context, tx *sql.Tx, id int64, reason string) error {
	_, err := tx.ExecContext(ctx, `UPDATE webhooks SET active = 0, off_reason = ?, generation = generation + 1, attempts = 0, next_attempt = 0, gave_up = 0, updated_at = ? WHERE id = ?`,
		reason, micros(s.now()), id)
	if err != nil {
		return fmt.Errorf("switch off webhook %d: %w", id, err)
	}
	return nil
}

// Off counts the webhooks that the server itself switched off and that nobody has
// switched on again.
func (s *Store) Off(ctx context.Context) (n int, err error) {
	err = s.reader.QueryRowContext(ctx, `SELECT count(*) FROM webhooks WHERE active = 0 AND off_reason <> ''`).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count webhooks that are off: %w", err)
	}
	return n, nil
}
