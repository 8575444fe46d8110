package commands

import (
	"fmt"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// loadBeats reads how far heartbeats have extended the leases. Clocks of before
// may have been wrong: no lease lasts longer from now than it was asked for, and
// none ends while its holder had no chance to send a heartbeat.
func (w *work) loadBeats() error {
	saved, err := w.tx.Heartbeats(w.ctx)
	if err != nil {
		return err
	}
	s := w.state
	s.beats, s.leases = make(map[int64]events.Heartbeat), true
	for _, h := range saved {
		if s.directory.Leases[h.TicketID].Fence == h.Fence {
			s.beats[h.TicketID] = h
		}
	}
	for ticket, l := range s.directory.Leases {
		expires, length := l.Expires, time.Duration(l.Seconds)*time.Second
		if h, ok := s.beats[ticket]; ok {
			expires, length = h.ExpiresAt, h.ExpiresAt.Sub(h.At)
		}
		right := expires
		if last := w.at.Add(length); right.After(last) {
			right = last
		}
		if right.Before(w.quiet) {
			right = w.quiet
		}
		if !right.Equal(expires) {
			s.beats[ticket] = events.Heartbeat{TicketID: ticket, Fence: l.Fence, At: w.at, ExpiresAt: right}
		}
	}
	return nil
}

// saveBeats stores what came in, and forgets what has become of no use.
func (w *work) saveBeats() error {
	for _, h := range w.beats {
		w.state.leases = true
		if err := w.tx.SaveHeartbeat(w.ctx, h); err != nil {
			return err
		}
	}
	if !w.state.leases {
		return nil
	}
	for ticket, h := range w.state.beats {
		if w.state.directory.Leases[ticket].Fence == h.Fence {
			continue
		}
		delete(w.state.beats, ticket)
		if err := w.tx.DropHeartbeat(w.ctx, ticket); err != nil {
			return err
		}
	}
	return nil
}

// expires is when a lease ends, heartbeats counted.
func (s *state) expires(ticket int64, l leased) time.Time {
	if h, ok := s.beats[ticket]; ok && h.Fence == l.Fence {
		return h.ExpiresAt
	}
	return l.Expires
}

// idleExpiry is how often leases are looked at when none is known to end, and
// retryExpiry when ending one did not succeed.
const (
	idleExpiry  = time.Hour
	retryExpiry = time.Second
)

// nextExpiry returns how long it is until a lease ends; changed says that the
// answer may be another than the last time.
func (s *Sequencer) nextExpiry() (wait time.Duration, changed bool) {
	st := s.state
	switch {
	case st.directory == nil: // dropped after an error of the database
		return retryExpiry, true
	case !st.leases:
		return 0, false
	}
	st.leases = false
	now := s.steady()
	wait = idleExpiry
	for ticket, l := range st.directory.Leases {
		wait = min(wait, st.expires(ticket, l).Sub(now))
	}
	return max(wait, 0), true
}

// expire ends the leases that have run out, and returns when to look again.
func (s *Sequencer) expire() time.Duration {
	if s.state.directory == nil {
		if err := s.attempt(nil, false); err != nil { // reads the state
			s.cfg.Logger.Warn("leases cannot be looked at", "error", err)
			return retryExpiry
		}
	}
	now := s.steady()
	var due []*call
	for ticket, l := range s.state.directory.Leases {
		if now.Before(s.state.expires(ticket, l)) {
			continue
		}
		due = append(due, s.newCall(Meta{Actor: events.SystemActor, Trusted: true}, ExpireLease{Ticket: RefID(ticket), Fence: l.Fence}))
		if len(due) == s.cfg.MaxBatch {
			break
		}
	}
	if len(due) > 0 {
		s.process(due)
	}
	for _, c := range due {
		if c.err != nil {
			s.cfg.Logger.Warn("a lease that ran out cannot be ended", "ticket", fmt.Sprint(c.commands[0]), "error", c.err)
			return retryExpiry
		}
	}
	s.state.leases = true
	wait, _ := s.nextExpiry()
	return wait
}
