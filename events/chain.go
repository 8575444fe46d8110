package events

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"
)

// Hash is a SHA-256 sum, in hex where it is text.
type Hash [sha256.Size]byte

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText writes the hash in hex.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads 64 hex digits.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != 2*len(h) {
		return fmt.Errorf("hash: want %d hex digits, got %d", 2*len(h), len(text))
	}
	_, err := hex.Decode(h[:], text)
	return err
}

// Head is the end of the log: the last position (0 = empty) and its hash.
type Head struct {
	Position int64 `json:"position"`
	Hash     Hash  `json:"hash"`
}

// Seal makes e the event that follows head: it encodes the fact, sets Position,
// Type, Schema, Data, DataSHA and Hash, and returns the result. RecordedAt is
// cut to whole microseconds of UTC.
func Seal(head Head, e Envelope, fact Event) (Envelope, error) {
	data, schema, err := encode(fact)
	if err != nil {
		return Envelope{}, err
	}
	e.Position = head.Position + 1
	e.Type, e.Schema, e.Data, e.payload = fact.Type(), schema, data, fact
	e.RecordedAt = e.RecordedAt.UTC().Truncate(time.Microsecond)
	e.DataSHA, e.Chain = sum(data), newestChain
	e.Hash = e.chain(head.Hash)
	return e, nil
}

// newestChain is the form that new events are sealed with; see Envelope.Chain.
const newestChain = 2

// chain computes the link: SHA-256(previous hash ‖ canonical form), where the
// canonical form is every column but data, in the order of the struct, integers
// as 8 bytes big-endian, text as its length (4 bytes) and its bytes. Data takes
// part through DataSHA, so that a redacted event still verifies. In form 2 the
// number of the form comes first, and the sum of the actor's name (32 bytes)
// stands where the name did.
func (e *Envelope) chain(previous Hash) Hash {
	buf := make([]byte, 0, 512)
	number := func(n int64) { buf = binary.BigEndian.AppendUint64(buf, uint64(n)) }
	text := func(s string) {
		buf = binary.BigEndian.AppendUint32(buf, uint32(len(s)))
		buf = append(buf, s...)
	}
	buf = append(buf, previous[:]...)
	if e.Chain > 1 {
		number(int64(e.Chain))
	}
	number(e.Position)
	text(e.Stream)
	number(e.Version)
	text(string(e.Type))
	number(int64(e.Schema))
	text(e.ID)
	number(e.RecordedAt.UnixMicro())
	text(string(e.Actor.Kind))
	number(e.Actor.ID)
	if e.Chain > 1 {
		name := e.nameSHA()
		buf = append(buf, name[:]...)
	} else {
		text(e.Actor.Name)
	}
	text(e.CommandID)
	text(e.CorrelationID)
	text(e.CausationID)
	number(e.BoardID)
	number(e.TicketID)
	buf = append(buf, e.DataSHA[:]...)
	return sha256.Sum256(buf)
}

// nameSHA is the sum of the name that the actor had when the event was sealed.
func (e *Envelope) nameSHA() Hash {
	if e.ActorSHA != (Hash{}) {
		return e.ActorSHA
	}
	return sum([]byte(e.Actor.Name))
}

// Check reports whether e is the event that follows head: the next position, a
// hash that continues the chain, and data that matches its sum. Data and the
// actor's name may have been redacted, the name by one thing only: ErasedName.
// The error wraps ErrChainBroken and names the position.
func Check(head Head, e *Envelope) error {
	switch {
	case e.Position != head.Position+1:
		return fmt.Errorf("position %d: follows %d: %w", e.Position, head.Position, ErrChainBroken)
	case !e.Redacted() && sum(e.Data) != e.DataSHA:
		return fmt.Errorf("position %d: the data was changed: %w", e.Position, ErrChainBroken)
	case e.Chain > newestChain:
		return fmt.Errorf("position %d: sealed in form %d, which this version does not know: %w", e.Position, e.Chain, ErrChainBroken)
	case e.ActorSHA != (Hash{}) && (e.Chain < 2 || e.Actor.Name != ErasedName(e.Actor.ID)):
		return fmt.Errorf("position %d: the actor's name was changed: %w", e.Position, ErrChainBroken)
	case e.chain(head.Hash) != e.Hash:
		return fmt.Errorf("position %d: the row was changed or does not continue the one before: %w", e.Position, ErrChainBroken)
	}
	return nil
}

// Head returns the head of a log that ends with e.
func (e *Envelope) Head() Head { return Head{Position: e.Position, Hash: e.Hash} }

func sum(data []byte) Hash { return sha256.Sum256(data) }
