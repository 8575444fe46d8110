package projections

import (
	"maps"
	"sync"
)

// Status is how a Runner is doing.
type Status struct {
	Position   int64          `json:"position"`   // the rows hold everything up to here
	Applied    int64          `json:"applied"`    // events since the start
	Duplicates int64          `json:"duplicates"` // deliveries that were skipped
	Unknown    int64          `json:"unknown"`    // events of a type this version does not know, since the start
	Retries    int64          `json:"retries"`    // transactions that were repeated
	Parked     map[string]int `json:"parked"`     // lane to events that wait in parked_events
	Error      string         `json:"error"`      // of the last attempt, "" when it went well
	Stopped    bool           `json:"stopped"`    // it gave up: see Error
}

// statusBoard holds the Status of a Runner for readers on other goroutines.
type statusBoard struct {
	mu   sync.Mutex
	now  Status
	last error
}

func (s *statusBoard) start(position int64, lanes map[string]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.Position, s.now.Parked = position, maps.Clone(lanes)
}

func (s *statusBoard) position() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now.Position
}

func (s *statusBoard) commit(out *outcome, lanes map[string]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.Position = out.position
	s.now.Applied += out.applied
	s.now.Duplicates += out.duplicates
	s.now.Unknown += out.skipped
	s.now.Error = ""
	if len(lanes)+len(s.now.Parked) > 0 {
		s.now.Parked = maps.Clone(lanes)
	}
}

func (s *statusBoard) retry(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.Retries++
	s.now.Error = err.Error()
}

func (s *statusBoard) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.Error = err.Error()
}

func (s *statusBoard) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.Stopped, s.last = true, err
}

// Status returns how the Runner is doing.
func (r *Runner) Status() Status {
	r.status.mu.Lock()
	defer r.status.mu.Unlock()
	now := r.status.now
	now.Parked = maps.Clone(now.Parked)
	if now.Parked == nil {
		now.Parked = map[string]int{}
	}
	return now
}

// Err returns why the Runner gave up for good, nil while it did not.
func (r *Runner) Err() error {
	r.status.mu.Lock()
	defer r.status.mu.Unlock()
	return r.status.last
}
