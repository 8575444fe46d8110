package events

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Envelope is one row of the log: a fact and everything known about how it came
// to be. Envelopes are immutable once sealed (see Seal) and shared between
// goroutines.
type Envelope struct {
	Position      int64     // place in the whole log: 1, 2, 3, … without gaps
	Stream        string    // "board-1", "user-3" or "system"
	Version       int64     // place in the stream: 1, 2, 3, … without gaps
	Type          Type      // which fact
	Schema        int       // shape of Data
	ID            string    // UUIDv7
	RecordedAt    time.Time // UTC, whole microseconds, never decreasing in a stream
	Actor         Actor
	CommandID     string // the command that caused it; one command may cause several events
	CorrelationID string // groups commands of one piece of work, "" = none
	CausationID   string // id of the event or command that led to the command, "" = none
	BoardID       int64  // 0 = not about a board
	TicketID      int64  // 0 = not about a ticket
	Data          json.RawMessage
	DataSHA       Hash // SHA-256 of Data; stays when Data is redacted
	Hash          Hash // see Seal

	// Chain is the form that Hash covers: 1 (or 0) has the actor's name in it, 2
	// the sum of the name, so that the name can go.
	Chain int
	// ActorSHA is SHA-256 of the name that Actor had, the zero Hash while the name
	// is still there.
	ActorSHA Hash
	// Kept is what redaction left of the data, in the shape KeptSchema: the same
	// fact without its texts. It is nil where Data is there, or nothing was kept.
	Kept       json.RawMessage
	KeptSchema int

	payload Event
	wire    []byte
}

// BoardStream names the stream of a board.
func BoardStream(id int64) string { return "board-" + strconv.FormatInt(id, 10) }

// UserStream names the stream of a person or agent.
func UserStream(id int64) string { return "user-" + strconv.FormatInt(id, 10) }

// SystemStream is the stream of facts about the log itself.
const SystemStream = "system"

// StreamID returns the number in a stream's name, 0 where there is none.
func StreamID(stream string) int64 {
	_, digits, _ := strings.Cut(stream, "-")
	id, _ := strconv.ParseInt(digits, 10, 64)
	return id
}

// Subject is the NATS subject of the event: kanban.<board_id>.<type>.
func (e *Envelope) Subject() string {
	return "kanban." + strconv.FormatInt(e.BoardID, 10) + "." + string(e.Type)
}

// Redacted reports whether the data was removed on purpose.
func (e *Envelope) Redacted() bool { return e.Data == nil }

// Payload returns the fact, decoded and brought to the newest schema: of a
// redacted event what was kept of it. It returns ErrRedacted where nothing was,
// ErrUnknownType, or a decoding error.
func (e *Envelope) Payload() (Event, error) {
	if e.payload != nil {
		return e.payload, nil
	}
	if e.Redacted() {
		if e.Kept == nil {
			return nil, ErrRedacted
		}
		return decode(e.Type, e.KeptSchema, e.Kept)
	}
	return decode(e.Type, e.Schema, e.Data)
}

// Prepare decodes and encodes the envelope once, so that those who share it
// need not. It must be called before the envelope is shared.
func (e *Envelope) Prepare() {
	if e.payload == nil {
		e.payload, _ = e.Payload()
	}
	if e.wire == nil {
		e.wire = e.appendJSON(make([]byte, 0, 640+len(e.Data)))
	}
}
