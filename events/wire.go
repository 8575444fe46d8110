package events

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

const wireTime = "2006-01-02T15:04:05.000000Z"

// JSON returns the envelope as CloudEvents 1.0 JSON, the one form it has in
// REST, SSE, WebSocket, NATS and export. The result is shared: do not modify.
func (e *Envelope) JSON() []byte {
	if e.wire != nil {
		return e.wire
	}
	return e.appendJSON(make([]byte, 0, 640+len(e.Data)))
}

// MarshalJSON is JSON for encoding/json.
func (e Envelope) MarshalJSON() ([]byte, error) { return e.JSON(), nil }

// appendJSON is written by hand because every event passes through it once on
// the way to the bus and the live feed: reflection costs four times as much.
func (e *Envelope) appendJSON(b []byte) []byte {
	text := func(name, s string) {
		b = append(b, name...)
		b = appendString(b, s)
	}
	number := func(name string, n int64) {
		b = append(b, name...)
		b = strconv.AppendInt(b, n, 10)
	}
	source, subject := e.about()
	text(`{"specversion":"1.0","id":`, e.ID)
	text(`,"source":`, source)
	text(`,"type":`, string(e.Type))
	text(`,"subject":`, subject)
	b = append(b, `,"time":"`...)
	b = e.RecordedAt.UTC().AppendFormat(b, wireTime)
	number(`","position":`, e.Position)
	text(`,"stream":`, e.Stream)
	number(`,"version":`, e.Version)
	number(`,"schema":`, int64(e.Schema))
	if e.BoardID != 0 {
		number(`,"board_id":`, e.BoardID)
	}
	if e.TicketID != 0 {
		number(`,"ticket_id":`, e.TicketID)
	}
	text(`,"actor":{"kind":`, string(e.Actor.Kind))
	number(`,"id":`, e.Actor.ID)
	text(`,"name":`, e.Actor.Name)
	text(`},"command_id":`, e.CommandID)
	if e.CorrelationID != "" {
		text(`,"correlation_id":`, e.CorrelationID)
	}
	if e.CausationID != "" {
		text(`,"causation_id":`, e.CausationID)
	}
	text(`,"hash":`, e.Hash.String())
	if e.Chain > 1 {
		number(`,"chain":`, int64(e.Chain))
	}
	if e.ActorSHA != (Hash{}) {
		text(`,"actor_sha":`, e.ActorSHA.String())
	}
	if e.Redacted() {
		text(`,"data_sha":`, e.DataSHA.String())
		if e.Kept == nil {
			return append(b, '}')
		}
		number(`,"kept_schema":`, int64(e.KeptSchema))
		b = append(b, `,"datacontenttype":"application/json","data":`...)
		b = append(b, e.Kept...)
		return append(b, '}')
	}
	b = append(b, `,"datacontenttype":"application/json","data":`...)
	b = append(b, e.Data...)
	return append(b, '}')
}

// appendString quotes s; text that needs no escaping, nearly all of it here, is
// copied as it is.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s)
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// wireEnvelope is the form that UnmarshalJSON reads.
type wireEnvelope struct {
	SpecVersion   string          `json:"specversion"`
	ID            string          `json:"id"`
	Type          Type            `json:"type"`
	Time          time.Time       `json:"time"`
	Position      int64           `json:"position"`
	Stream        string          `json:"stream"`
	Version       int64           `json:"version"`
	Schema        int             `json:"schema"`
	BoardID       int64           `json:"board_id"`
	TicketID      int64           `json:"ticket_id"`
	Actor         Actor           `json:"actor"`
	CommandID     string          `json:"command_id"`
	CorrelationID string          `json:"correlation_id"`
	CausationID   string          `json:"causation_id"`
	Hash          Hash            `json:"hash"`
	Chain         int             `json:"chain"`
	ActorSHA      Hash            `json:"actor_sha"`
	DataSHA       *Hash           `json:"data_sha"`
	KeptSchema    int             `json:"kept_schema"`
	Data          json.RawMessage `json:"data"`
}

// UnmarshalJSON reads what JSON wrote, byte for byte the same data: with data_sha
// it is what redaction left. It does not
// check the chain: see Check.
func (e *Envelope) UnmarshalJSON(text []byte) error {
	var w wireEnvelope
	if err := json.Unmarshal(text, &w); err != nil {
		return fmt.Errorf("decode event: %w", err)
	}
	if w.SpecVersion != "1.0" {
		return fmt.Errorf("decode event: specversion is %q, want \"1.0\"", w.SpecVersion)
	}
	*e = Envelope{
		Position: w.Position, Stream: w.Stream, Version: w.Version, Type: w.Type, Schema: w.Schema,
		ID: w.ID, RecordedAt: w.Time.UTC().Truncate(time.Microsecond), Actor: w.Actor,
		CommandID: w.CommandID, CorrelationID: w.CorrelationID, CausationID: w.CausationID,
		BoardID: w.BoardID, TicketID: w.TicketID, Data: w.Data, Hash: w.Hash,
		Chain: w.Chain, ActorSHA: w.ActorSHA,
	}
	if w.DataSHA != nil {
		// What redaction left travels where the data did.
		e.DataSHA, e.Data, e.Kept, e.KeptSchema = *w.DataSHA, nil, w.Data, w.KeptSchema
	} else {
		e.DataSHA = sum(w.Data)
	}
	return nil
}
