package bus

import (
	"slices"
	"sync"
	"time"
)

// State says what a Relay is doing.
type State string

// The states.
const (
	StateStopped       State = "stopped"       // before Start and after Stop
	StateSynchronising State = "synchronising" // comparing the stream with the log, or repairing it
	StateRelaying      State = "relaying"      // copying
	StateFailing       State = "failing"       // the bus or the log does not answer; see LastError
)

// Status of a Relay.
type Status struct {
	State    State `json:"state"`
	Position int64 `json:"position"` // last one that the stream is known to hold
	Lag      int64 `json:"lag"`      // events committed and not there yet
	// Resyncs counts how often the stream was compared with the log after the
	// first time, Rebuilds how often it was made anew, Restarts those of the
	// server.
	Resyncs  int64 `json:"resyncs"`
	Rebuilds int64 `json:"rebuilds"`
	Restarts int64 `json:"restarts"`
	// LastRebuild says why the stream was made anew the last time.
	LastRebuild string `json:"last_rebuild,omitempty"`
	// LastError is the newest one, LastErrorAt its time; it stays after the
	// trouble is over.
	LastError   string    `json:"last_error,omitempty"`
	LastErrorAt time.Time `json:"last_error_at,omitzero"`
	// Recovered lists the files in RecoveredDir: events that were acknowledged
	// and that the log does not hold. Somebody has to look at them.
	Recovered []string `json:"recovered,omitempty"`
}

// statusBoard is the shared view of what run does.
type statusBoard struct {
	mu     sync.Mutex
	status Status
	syncs  int64
}

func (b *statusBoard) get(head int64) Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.status
	if s.State == "" {
		s.State = StateStopped
	}
	s.Lag = max(0, head-s.Position)
	s.Recovered = slices.Clone(s.Recovered)
	return s
}

func (b *statusBoard) set(change func(s *Status)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.status)
}

func (b *statusBoard) start(recovered []string) {
	b.set(func(s *Status) { s.State, s.Recovered = StateSynchronising, recovered })
}

func (b *statusBoard) end() { b.set(func(s *Status) { s.State = StateStopped }) }

func (b *statusBoard) relaying(position int64) {
	b.set(func(s *Status) {
		s.State, s.Position = StateRelaying, position
		if b.syncs++; b.syncs > 1 {
			s.Resyncs++
		}
	})
}

func (b *statusBoard) reached(position int64) { b.set(func(s *Status) { s.Position = position }) }

func (b *statusBoard) position() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.status.Position
}

func (b *statusBoard) fail(err error) {
	b.set(func(s *Status) {
		s.State, s.LastError, s.LastErrorAt = StateFailing, err.Error(), time.Now().UTC()
	})
}

func (b *statusBoard) rebuilt(reason string) {
	b.set(func(s *Status) {
		s.Rebuilds++
		s.LastRebuild = reason
	})
}

func (b *statusBoard) restarting() { b.set(func(s *Status) { s.Restarts++ }) }

func (b *statusBoard) recovered(file string) {
	b.set(func(s *Status) {
		if !slices.Contains(s.Recovered, file) {
			s.Recovered = append(s.Recovered, file)
		}
	})
}

func (b *statusBoard) synchronising() {
	b.set(func(s *Status) {
		if s.State == StateRelaying {
			s.State = StateSynchronising
		}
	})
}
