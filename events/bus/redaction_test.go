package bus

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/agent-kanban/agent-kanban/events"
)

// redactAt empties an event of the log and appends the redaction.
func (l *memoryLog) redactAt(t *testing.T, position int64) []events.Envelope {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	row := &l.rows[position-1]
	left, changed, err := events.Erasure{Texts: true}.Of(row)
	if err != nil || !changed {
		t.Fatalf("redact position %d: changed %v (%v)", position, changed, err)
	}
	var emptied events.Envelope
	if err := json.Unmarshal(row.JSON(), &emptied); err != nil {
		t.Fatal(err)
	}
	emptied.Data, emptied.Kept, emptied.KeptSchema = nil, left.Kept, left.Schema
	*row = emptied
	last := &l.rows[len(l.rows)-1]
	e, err := events.Seal(last.Head(), events.Envelope{
		Stream: events.SystemStream, Version: last.Position + 1, ID: "redaction", RecordedAt: last.RecordedAt, Actor: events.SystemActor, CommandID: "redaction",
	}, events.DataRedacted{Target: "events", Reason: "test", Events: []events.Emptied{left}})
	if err != nil {
		t.Fatal(err)
	}
	e.Prepare()
	l.rows = append(l.rows, e)
	return l.rows[len(l.rows)-1:]
}

// A redaction makes the stream anew: once Forgotten returns, its messages are
// those of the emptied log, and the window of the Tail is too.
func TestStreamForgets(t *testing.T) {
	t.Parallel()
	r := newRig(t, newLog(0))
	r.run()
	r.commit(20)
	r.level()
	subscription := r.tail.Subscribe(0)
	if batch, err := subscription.Next(t.Context()); err != nil || len(batch) == 0 {
		t.Fatalf("before: %d events (%v)", len(batch), err)
	}
	secret := string(r.log.row(7).Data)
	batch := r.log.redactAt(t, 7)
	r.tail.Publish(batch)
	if err := r.relay.Forgotten(t.Context(), batch[0].Position); err != nil {
		t.Fatal(err)
	}
	r.level()
	r.verify(1) // every message is the row as it is now
	stream, err := r.relay.js.Stream(t.Context(), StreamName)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := stream.GetMsg(t.Context(), 7)
	if err != nil || strings.Contains(string(msg.Data), secret) || !strings.Contains(string(msg.Data), events.RedactedText) {
		t.Errorf("message 7: %v (%v), want it redacted", msg, err)
	}
	for position := int64(0); position < 21; {
		page, err := r.tail.Subscribe(position).Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i := range page {
			if strings.Contains(string(page[i].JSON()), secret) {
				t.Errorf("position %d is handed out as it was", page[i].Position)
			}
		}
		position = page[len(page)-1].Position
	}
	if s := r.relay.Status(); s.Rebuilds != 1 {
		t.Errorf("%d rebuilds, want 1", s.Rebuilds)
	}
	// The next start has nothing to forget, and says so at once.
	r.quit()
	r.run()
	if err := r.relay.Forgotten(t.Context(), 21); err != nil {
		t.Error(err)
	}
	r.commit(5)
	r.level()
	if s := r.relay.Status(); s.Rebuilds != 0 {
		t.Errorf("%d rebuilds after a restart, want none", s.Rebuilds)
	}
}

// A process that died after the commit of a redaction: the next one meets it.
func TestStreamForgetsAfterARestart(t *testing.T) {
	t.Parallel()
	r := newRig(t, newLog(20))
	r.run()
	r.level()
	r.quit()
	batch := r.log.redactAt(t, 3)
	r.run()
	if err := r.relay.Forgotten(t.Context(), batch[0].Position); err != nil {
		t.Fatal(err)
	}
	r.level()
	r.verify(1)
}
