package backup

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"filippo.io/age"

	"github.com/agent-kanban/agent-kanban/events"
)

// Log is what a Shipper reads; sqlstore.DB is one.
type Log interface {
	events.Reader
	// Reader returns a pool for queries: of the ledger.
	Reader() *sql.DB
}

// Sink keeps the records of one shipped log. It is used by one Shipper.
type Sink interface {
	// open returns the link of the last whole record, the zero link where there
	// is none. A record that a crash has torn is gone after it.
	open(ctx context.Context, logID string) (link, error)
	// append makes a record durable.
	append(ctx context.Context, l link, record []byte) error
	// close lets go of it; open may follow.
	close() error
}

// ShipperConfig of a Shipper. Log and Sink are required.
type ShipperConfig struct {
	Log       Log
	Sink      Sink
	Recipient string        // a public key of age, "" = records are not sealed
	Every     time.Duration // how often it looks for events, 250 ms when 0
	Logger    *slog.Logger
}

// ShipperStatus tells how far the copy is.
type ShipperStatus struct {
	Position  int64         `json:"position"`   // safe elsewhere
	Head      int64         `json:"head"`       // of the log, when it looked last
	Lag       time.Duration `json:"lag_ns"`     // age of the oldest event that is not safe, 0 = all are
	LastError string        `json:"last_error"` // of the last attempt, "" = it succeeded
}

// Shipper copies a log to another place, event by event, as they are appended.
// What goes wrong is tried again until it stops; it never skips anything.
type Shipper struct {
	config    ShipperConfig
	recipient age.Recipient
	cancel    context.CancelFunc
	done      chan struct{}
	head      events.Head // shipped
	side      sideReader
	opened    bool

	mu     sync.Mutex
	status ShipperStatus
}

// NewShipper starts nothing.
func NewShipper(c ShipperConfig) (*Shipper, error) {
	c.Every = cmp.Or(c.Every, 250*time.Millisecond)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Log == nil || c.Sink == nil {
		return nil, errors.New("ship the log: Log and Sink are required")
	}
	s := &Shipper{config: c}
	if c.Recipient != "" {
		recipient, err := age.ParseX25519Recipient(c.Recipient)
		if err != nil {
			return nil, fmt.Errorf("ship the log: the recipient: %w", err)
		}
		s.recipient = recipient
	}
	return s, nil
}

// Start ships until Stop.
func (s *Shipper) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel, s.done = cancel, make(chan struct{})
	go func() {
		defer close(s.done)
		_ = s.Follow(ctx)
	}()
}

// Stop ships what there is, for two seconds at most, and ends.
func (s *Shipper) Stop() {
	if s.cancel == nil {
		return
	}
	s.cancel()
	<-s.done
	s.cancel = nil
}

// Follow ships until ctx ends, then once more; it returns ctx's error, or at
// once ErrDiverged, which no second attempt mends.
func (s *Shipper) Follow(ctx context.Context) error {
	defer func() { _ = s.config.Sink.close() }()
	for {
		err := s.Ship(ctx)
		if ctx.Err() != nil {
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			s.side.due = time.Time{} // a password of the last moment, too
			_ = s.Ship(last)
			return ctx.Err()
		}
		if s.note(err); errors.Is(err, ErrDiverged) {
			return err
		}
		wait := s.config.Every
		if err != nil {
			wait = max(wait, 5*time.Second)
		}
		_ = rest(ctx, wait)
	}
}

// note remembers what came of an attempt and logs when that changes.
func (s *Shipper) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := ""
	if err != nil {
		text = err.Error()
	}
	switch {
	case text == s.status.LastError:
	case err != nil:
		s.config.Logger.Error("the log is not copied", "error", err, "position", s.status.Position)
	default:
		s.config.Logger.Info("the log is copied again", "position", s.status.Position)
	}
	s.status.LastError = text
}

// Status tells how things stand.
func (s *Shipper) Status() ShipperStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Ship copies everything that the log has now.
func (s *Shipper) Ship(ctx context.Context) error {
	if !s.opened {
		if err := s.open(ctx); err != nil {
			return fmt.Errorf("ship the log: %w", err)
		}
	}
	for {
		// Before the events: so no row is of a later event than those that follow it
		// in the log, unless there is more than a record holds.
		beside, keep, err := s.side.read(ctx, s.config.Log.Reader())
		if err != nil {
			return fmt.Errorf("ship the log: %w", err)
		}
		rows, err := s.read(ctx)
		if err != nil {
			return fmt.Errorf("ship the log: %w", err)
		}
		if len(rows) == 0 && len(beside) == 0 {
			keep()
			s.moved(0, 0)
			return nil
		}
		if len(rows) > 0 {
			s.moved(rows[len(rows)-1].Event.Position, time.Since(rows[0].Event.RecordedAt))
		}
		l, record, err := encode(s.config.Log.LogID(), s.head, rows, beside, s.side.next(beside), s.recipient)
		if err == nil {
			err = s.config.Sink.append(ctx, l, record)
		}
		if err != nil {
			// Whether it is there, or half of it, only opening it again tells.
			s.opened = false
			return errors.Join(fmt.Errorf("ship the log: %w", err), s.config.Sink.close())
		}
		keep()
		s.head = l.head()
	}
}

// moved updates the status; a head of 0 says that everything is shipped.
func (s *Shipper) moved(head int64, lag time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Position = s.head.Position
	s.status.Head, s.status.Lag = max(head, s.head.Position), lag
}

// open finds the place to go on from, and makes sure that what was shipped is
// the beginning of this log.
func (s *Shipper) open(ctx context.Context) error {
	last, err := s.config.Sink.open(ctx, s.config.Log.LogID())
	if err != nil {
		return err
	}
	s.head = last.head()
	if last.Last > 0 {
		page, err := s.config.Log.Read(ctx, events.Query{After: last.Last - 1, UpTo: last.Last, Limit: 1})
		if err == nil && (len(page) == 0 || page[0].Hash != last.Hash) {
			err = fmt.Errorf("%w: it holds position %d (%s), which this log does not have", ErrDiverged, last.Last, last.Hash)
		}
		if err != nil {
			return errors.Join(err, s.config.Sink.close())
		}
	}
	s.side = sideReader{cursors: last.Cursors}
	s.opened = true
	return nil
}

// recordEvents and recordBytes bound a record, but for one command of more.
const (
	recordEvents = 1000
	recordBytes  = 4 << 20
)

// read returns the next rows: of whole commands, so that what is shipped can be
// verified wherever it ends.
func (s *Shipper) read(ctx context.Context) ([]Row, error) {
	limit := recordEvents
	for {
		page, err := s.config.Log.Read(ctx, events.Query{After: s.head.Position, Limit: limit})
		if err != nil || len(page) == 0 {
			return nil, err
		}
		end := bounded(page)
		if end == len(page) && len(page) < limit {
			return s.rows(ctx, page) // to the end of the log, which ends with a whole command
		}
		whole := lastWhole(page, end)
		if whole == 0 { // one command of more than a record should hold
			whole = firstWhole(page)
		}
		if whole == 0 && len(page) == limit {
			limit *= 2
			continue
		}
		if whole == 0 {
			whole = len(page)
		}
		return s.rows(ctx, page[:whole])
	}
}

// bounded returns how many events fill a record.
func bounded(page []events.Envelope) int {
	bytes := 0
	for i := range page {
		if bytes += len(page[i].Data); bytes > recordBytes && i > 0 {
			return i
		}
	}
	return len(page)
}

// together reports whether one command caused both.
func together(a, b *events.Envelope) bool { return a.CommandID == b.CommandID && a.Actor == b.Actor }

// lastWhole moves end back to where a command begins, unless one begins there.
func lastWhole(page []events.Envelope, end int) int {
	if end < len(page) && !together(&page[end-1], &page[end]) {
		return end
	}
	for end--; end > 0 && together(&page[end-1], &page[end]); end-- {
	}
	return end
}

// firstWhole returns the end of the first command, 0 where the page may not
// hold all of it.
func firstWhole(page []events.Envelope) int {
	for i := range page {
		if !together(&page[0], &page[i]) {
			return i
		}
	}
	return 0
}

// rows adds the records of the commands.
func (s *Shipper) rows(ctx context.Context, page []events.Envelope) ([]Row, error) {
	head := s.head
	rows := make([]Row, len(page))
	for i := range page {
		e := &page[i]
		if err := events.Check(head, e); err != nil {
			return nil, err // a damaged log is not passed on
		}
		head = e.Head()
		rows[i].Event = *e
		if i+1 < len(page) && together(e, &page[i+1]) {
			continue
		}
		var err error
		if rows[i].Commands, err = s.commands(ctx, e.CommandID, e.Position); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// commands returns the records with an id whose last event is at a position.
func (s *Shipper) commands(ctx context.Context, id string, position int64) (found []events.CommandRecord, err error) {
	rows, err := s.config.Log.Reader().QueryContext(ctx, `SELECT actor, request_sha, first_position, last_position, stream, version, recorded_at
		FROM commands WHERE command_id = ? AND last_position = ? AND first_position > 0`, id, position)
	if err != nil {
		return nil, fmt.Errorf("read commands: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		r := events.CommandRecord{ID: id}
		var sha []byte
		var at int64
		if err := rows.Scan(&r.Actor, &sha, &r.First, &r.Last, &r.Stream, &r.Version, &at); err != nil {
			return nil, err
		}
		copy(r.RequestSHA[:], sha)
		r.RecordedAt = time.UnixMicro(at).UTC()
		found = append(found, r)
	}
	return found, rows.Err()
}
