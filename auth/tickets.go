package auth

import (
	"context"
	"sync"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// ticketsPerUser bounds what one user can hold of the tickets all share.
const ticketsPerUser = 100

// ticket stands for a principal once. Browsers cannot set headers on a
// WebSocket, and a token in an address would end up in logs.
type ticket struct {
	principal Principal
	expires   time.Time
}

type tickets struct {
	mu      sync.Mutex
	held    map[digest]ticket
	perUser map[int64]int
	swept   time.Time
}

// IssueTicket returns a ticket that stands for the principal once, within
// Config.TicketTTL (30 s), at this server only. CodeRateLimited where too many
// are outstanding.
func (s *Service) IssueTicket(p Principal) (Secret, error) {
	now := s.cfg.Now()
	t := &s.tickets
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.swept) >= time.Second {
		t.sweep(now)
	}
	if len(t.held) >= s.cfg.MaxTickets || t.perUser[p.Actor.ID] >= ticketsPerUser {
		return Secret{}, &events.Error{
			Code: events.CodeRateLimited, Message: "Too many connection tickets are waiting to be used. Use them, or try again in a moment.",
			RetryAfter: s.cfg.TicketTTL,
		}
	}
	secret := newSecret(ticketPrefix)
	t.held[digestOf(secret.text)] = ticket{principal: p, expires: now.Add(s.cfg.TicketTTL)}
	t.perUser[p.Actor.ID]++
	return secret, nil
}

// RedeemTicket returns the principal of a ticket and uses the ticket up. It
// returns CodeUnauthenticated for a ticket that is unknown, used, or too old,
// and for a principal that may no longer act.
func (s *Service) RedeemTicket(ctx context.Context, text string) (Principal, error) {
	sum, now := digestOf(text), s.cfg.Now()
	t := &s.tickets
	t.mu.Lock()
	held, ok := t.held[sum]
	t.remove(sum)
	t.mu.Unlock()
	if !ok || !now.Before(held.expires) {
		return Principal{}, refused("The connection ticket was used before or is too old. Ask for a new one.")
	}
	return s.Check(ctx, held.principal)
}

func (t *tickets) sweep(now time.Time) {
	t.swept = now
	for sum, held := range t.held {
		if !now.Before(held.expires) {
			t.remove(sum)
		}
	}
}

// remove is called with mu held.
func (t *tickets) remove(sum digest) {
	held, ok := t.held[sum]
	if !ok {
		return
	}
	delete(t.held, sum)
	id := held.principal.Actor.ID
	if t.perUser[id]--; t.perUser[id] <= 0 {
		delete(t.perUser, id)
	}
}
