package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/agent-kanban/agent-kanban/events"
)

// What outside consumers rely on.
const (
	// StreamName is the stream's name; a message's sequence is its position.
	StreamName = "KANBAN_EVENTS"
	// Subjects is what the stream takes: kanban.<board_id>.<type>, where
	// board_id is 0 for events that are not about a board.
	Subjects = "kanban.>"
	// HeaderPosition and HeaderHash repeat the event's position and its hash
	// (in hex), for those who do not want to read the payload.
	HeaderPosition = "Kanban-Position"
	HeaderHash     = "Kanban-Hash"
	// HeaderTraceparent names the trace that the event belongs to, where there is
	// one (W3C Trace Context).
	HeaderTraceparent = "traceparent"
)

// requestTimeout bounds one request to JetStream.
const requestTimeout = 5 * time.Second

// errBus marks what went wrong on the bus's side, where a restart of the server
// may help.
var errBus = errors.New("bus")

func busError(doing string, err error) error {
	return fmt.Errorf("%w: %s: %w", errBus, doing, err)
}

func (c RelayConfig) stream() jetstream.StreamConfig {
	config := jetstream.StreamConfig{
		Name:        StreamName,
		Description: "Copy of the newest events; the log is the truth. Sequence = position.",
		Subjects:    []string{Subjects},
		Retention:   jetstream.LimitsPolicy,
		Storage:     jetstream.FileStorage,
		Discard:     jetstream.DiscardOld,
		MaxAge:      c.MaxAge,
		MaxBytes:    c.MaxBytes,
		Replicas:    c.Replicas,
		// Single messages cannot be taken out: the relay would call it a hole.
		// The whole stream can be deleted, and is rebuilt.
		DenyDelete:  true,
		DenyPurge:   true,
		AllowDirect: true,
	}
	if c.Replicas == 1 {
		// Without a write to the file for each message: half the processor time.
		// A killed process loses the last messages, which are refilled.
		config.PersistMode = jetstream.AsyncPersistMode
	}
	return config
}

// sameConfig reports whether the settings that matter are as wanted. The server
// fills in others.
func sameConfig(got, want jetstream.StreamConfig) bool {
	return slices.Equal(got.Subjects, want.Subjects) && got.Retention == want.Retention &&
		got.Storage == want.Storage && got.Discard == want.Discard && got.MaxAge == want.MaxAge &&
		got.MaxBytes == want.MaxBytes && got.Replicas == want.Replicas && got.MaxMsgs == -1 &&
		got.DenyDelete == want.DenyDelete && got.DenyPurge == want.DenyPurge && got.AllowDirect == want.AllowDirect &&
		got.PersistMode == want.PersistMode &&
		got.Mirror == nil && len(got.Sources) == 0 && !got.NoAck && got.SubjectTransform == nil
}

// create makes the stream anew, with first as the first sequence: FirstSeq is
// honoured at creation only. It reports whether the stream is empty: where only
// its settings were lost, the server finds the messages again.
func (r *Relay) create(ctx context.Context, first int64) (empty bool, err error) {
	config := r.config.stream()
	config.FirstSeq = uint64(first)
	err = r.request(ctx, "delete and create the stream", func(ctx context.Context) error {
		if err := r.js.DeleteStream(ctx, StreamName); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return err
		}
		stream, err := r.createOver(ctx, config)
		if err == nil {
			empty = stream.CachedInfo().State.LastSeq == uint64(first-1)
		}
		return err
	})
	return empty, err
}

// storeNotCreated is JetStream's code for a folder that cannot be made: that of
// the stream deleted a moment ago may still be on its way out.
const storeNotCreated = 10049

// createOver creates the stream, in a second and third attempt if need be.
func (r *Relay) createOver(ctx context.Context, config jetstream.StreamConfig) (jetstream.Stream, error) {
	pause := newBackoff(20*time.Millisecond, time.Second)
	for attempt := 1; ; attempt++ {
		stream, err := r.js.CreateStream(ctx, config)
		var refused *jetstream.APIError
		if !errors.As(err, &refused) || refused.ErrorCode != storeNotCreated || attempt == 3 || !pause.wait(ctx) {
			return stream, err
		}
	}
}

// request gives each request to JetStream its own limit of time.
func (r *Relay) request(ctx context.Context, doing string, do func(ctx context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, r.config.AckTimeout)
	defer cancel()
	err := do(limited)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return busError(doing, err)
	}
	return nil
}

// keepFrom returns the first position of the window that the stream is meant to
// hold, given the head: as far back as age and size allow, at least the head
// itself, whose hash the next start compares. It is 1 for an empty log.
func (r *Relay) keepFrom(ctx context.Context, head int64) (int64, error) {
	oldest := time.Now().Add(-r.config.MaxAge)
	room := r.config.MaxBytes * 3 / 4 // what the server adds to a message is not known exactly
	from := max(head, 1)
	for end := head; end > 0; {
		after := max(0, end-events.DefaultLimit)
		page, err := r.config.Log.Read(ctx, events.Query{After: after, UpTo: end, Limit: events.DefaultLimit})
		if err != nil {
			return 0, err
		}
		for i := range slices.Backward(page) {
			e := &page[i]
			room -= int64(len(e.Data)) + messageOverhead
			if e.Position != head && (room < 0 || e.RecordedAt.Before(oldest)) {
				return from, nil
			}
			from = e.Position
		}
		end = after
	}
	return from, nil
}

// messageOverhead is what a message takes besides the event's data: attributes,
// headers, subject, record.
const messageOverhead = 900
