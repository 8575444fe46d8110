package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/agent-kanban/agent-kanban/events"
)

// Why a stream is made anew, as Status and the log say it.
const (
	reasonMissing  = "it was missing"
	reasonEmpty    = "it was empty although the log is not"
	reasonHoles    = "it had holes"
	reasonHeadless = "it lost its beginning"
	reasonDamaged  = "its newest message could not be read"
	reasonAhead    = "it was ahead of the log"
	reasonHistory  = "it held another history than the log"
	reasonSettings = "its settings could not be updated"
	reasonBehind   = "it ended before the events that it is meant to hold"
	reasonScrub    = "it had damaged messages"
	reasonRedacted = "data was redacted that it held"
)

// synchronise compares the stream with the log, repairs it where they differ,
// and returns the last position that the stream holds. demand, where not empty,
// is a reason to make it anew in any case.
func (r *Relay) synchronise(ctx context.Context, demand string) (position int64, err error) {
	r.status.synchronising()
	var stream jetstream.Stream
	err = r.request(ctx, "look up the stream", func(ctx context.Context) (err error) {
		stream, err = r.js.Stream(ctx, StreamName)
		return err
	})
	missing := errors.Is(err, jetstream.ErrStreamNotFound)
	if err != nil && !missing {
		return 0, err
	}
	// The head after the stream: what was relayed was committed before, so a
	// stream that is ahead now is really ahead.
	head, err := r.config.Log.Head(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the log's head: %w", err)
	}
	if missing {
		// After a rebuild that got no further than to delete it, for its reason.
		return r.rebuild(ctx, head.Position, cmp.Or(r.unfinished, reasonMissing))
	}
	state := stream.CachedInfo().State
	last := int64(state.LastSeq)
	reason, err := r.compare(ctx, stream, state, head)
	if err != nil {
		return 0, err
	}
	if reason == "" {
		reason = demand
	}
	if reason == "" && !sameConfig(stream.CachedInfo().Config, r.config.stream()) {
		if reason, err = r.reconfigure(ctx); err != nil {
			return 0, err
		}
	}
	if reason == "" && head.Position-last > farBehind {
		from, err := r.keepFrom(ctx, head.Position)
		if err != nil {
			return 0, fmt.Errorf("read the log: %w", err)
		}
		if from > last+1 {
			reason = reasonBehind
		}
	}
	if reason == "" {
		if last < head.Position {
			r.config.Logger.Info("stream is behind the log and is filled up", "from", last+1, "to", head.Position)
		}
		// It got past redactions only by being made anew, see forgets.
		r.forgotten.reached(last)
		return last, nil
	}
	return r.rebuild(ctx, head.Position, reason)
}

// farBehind is how many events are copied without asking whether the stream
// would drop them again at once.
const farBehind = 20_000

// compare finds out why the stream has to be made anew, "" where it need not.
// Whatever only the stream holds is saved before it returns.
func (r *Relay) compare(ctx context.Context, stream jetstream.Stream, state jetstream.StreamState, head events.Head) (reason string, err error) {
	first, last := int64(state.FirstSeq), int64(state.LastSeq)
	if state.Msgs == 0 {
		switch {
		case last > head.Position:
			r.config.Logger.Error("acknowledged events are lost: the log ends before the stream, which is empty",
				"from", head.Position+1, "to", last)
			return reasonAhead, nil
		case last == head.Position && last == 0:
			return "", nil
		}
		return reasonEmpty, nil
	}
	common := min(last, head.Position)
	fork, readable, err := r.fork(ctx, stream, first, common)
	if err != nil {
		return "", err
	}
	if last > fork {
		if err := r.save(ctx, stream, fork+1, last, head); err != nil {
			return "", err
		}
	}
	switch {
	case last > head.Position && fork >= common:
		return reasonAhead, nil
	case fork < common && readable:
		return reasonHistory, nil
	case fork < common:
		return reasonDamaged, nil
	case state.NumDeleted > 0 || int64(state.Msgs) != last-first+1:
		return reasonHoles, nil
	}
	lost, err := r.beginsLate(ctx, state)
	if lost {
		reason = reasonHeadless
	}
	return reason, err
}

// beginsLate reports whether the stream should reach further back: neither size
// nor age explains that the event before its first message is gone. A server
// that misses its first block just starts with the next one.
func (r *Relay) beginsLate(ctx context.Context, state jetstream.StreamState) (bool, error) {
	first := int64(state.FirstSeq)
	// keepFrom fills three quarters, by a rough estimate.
	if first <= 1 || int64(state.Bytes) > r.config.MaxBytes/2 {
		return false, nil
	}
	row, err := r.row(ctx, first-1)
	if err != nil {
		return false, err
	}
	return time.Since(row.RecordedAt) < r.config.MaxAge*9/10, nil
}

// row reads one event from the log.
func (r *Relay) row(ctx context.Context, position int64) (events.Envelope, error) {
	rows, err := r.config.Log.Read(ctx, events.Query{After: position - 1, UpTo: position, Limit: 1})
	if err == nil {
		err = contiguous(rows, position-1)
	}
	if err != nil {
		return events.Envelope{}, fmt.Errorf("read the log: %w", err)
	}
	return rows[0], nil
}

// fork returns the last position up to which stream and log are the same: each
// hash covers everything before it, so that comparing one message suffices, and
// halving finds the place where they part. It is first-1 where they have nothing
// in common. readable is false where common could not be compared.
func (r *Relay) fork(ctx context.Context, stream jetstream.Stream, first, common int64) (fork int64, readable bool, err error) {
	if common < first {
		return first - 1, true, nil
	}
	same, readable, err := r.same(ctx, stream, common)
	if err != nil || same {
		return common, readable, err
	}
	low, high := first-1, common // the same at low (or before the stream), different at high
	for high-low > 1 {
		middle := low + (high-low)/2
		same, _, err := r.same(ctx, stream, middle)
		if err != nil {
			return 0, false, err
		}
		if same {
			low = middle
		} else {
			high = middle
		}
	}
	return low, readable, nil
}

// same reports whether the stream's message and the log's row are the same
// event, and whether there was a message to compare.
func (r *Relay) same(ctx context.Context, stream jetstream.Stream, position int64) (same, readable bool, err error) {
	msg, err := r.message(ctx, stream, position)
	if err != nil || msg == nil {
		return false, false, err
	}
	row, err := r.row(ctx, position)
	if err != nil {
		return false, false, err
	}
	return msg.Header.Get(HeaderHash) == row.Hash.String(), true, nil
}

// message returns the stream's message, nil where it is gone or damaged.
func (r *Relay) message(ctx context.Context, stream jetstream.Stream, position int64) (msg *jetstream.RawStreamMsg, err error) {
	err = r.request(ctx, fmt.Sprintf("read message %d", position), func(ctx context.Context) (err error) {
		msg, err = stream.GetMsg(ctx, uint64(position))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			msg, err = nil, nil
		}
		return err
	})
	return msg, err
}

// reconfigure brings an older stream's settings up to date.
func (r *Relay) reconfigure(ctx context.Context) (reason string, err error) {
	err = r.request(ctx, "update the stream", func(ctx context.Context) error {
		_, err := r.js.UpdateStream(ctx, r.config.stream())
		return err
	})
	var refused *jetstream.APIError
	switch {
	case errors.As(err, &refused):
		return reasonSettings, nil
	case err != nil:
		return "", err
	}
	r.config.Logger.Info("stream settings were updated")
	return "", nil
}

// rebuild makes the stream anew; copy fills it from the table. It returns the
// position before the first one to copy.
func (r *Relay) rebuild(ctx context.Context, head int64, reason string) (int64, error) {
	from, err := r.keepFrom(ctx, head)
	if err != nil {
		return 0, fmt.Errorf("read the log: %w", err)
	}
	r.unfinished = reason
	empty, err := r.create(ctx, from)
	if err != nil {
		return 0, err
	}
	r.unfinished = ""
	if empty {
		r.forgotten.reached(head)
	}
	if !empty {
		// What is in it may be all that is left of something: compare first.
		r.config.Logger.Info("stream was found again without its settings")
		return r.synchronise(ctx, "")
	}
	if head == 0 && reason == reasonMissing {
		r.config.Logger.Info("stream was created")
		return 0, nil
	}
	r.status.rebuilt(reason)
	r.config.Logger.Warn("stream is made anew from the log", "reason", reason, "from", from, "to", head)
	return from - 1, nil
}

// scrub reads through the messages up to position once after a start. A damaged
// one does not show in the stream's figures; a consumer would just not get it.
func (r *Relay) scrub(ctx context.Context, position int64) {
	intact, err := r.intact(ctx, position)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		r.config.Logger.Debug("stream could not be read through", "error", err)
	case !intact:
		r.Rebuild(reasonScrub)
	}
}

func (r *Relay) intact(ctx context.Context, position int64) (bool, error) {
	consumer, err := r.js.OrderedConsumer(ctx, StreamName, jetstream.OrderedConsumerConfig{
		HeadersOnly:      true,
		MaxResetAttempts: 1,
	})
	if err != nil {
		return false, err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(1000))
	if err != nil {
		return false, err
	}
	defer messages.Stop()
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	stream, err := r.js.Stream(ctx, StreamName)
	if err != nil {
		return false, err
	}
	state := stream.CachedInfo().State
	// Messages may grow too old meanwhile, at the beginning only.
	last := state.FirstSeq - 1
	for last < min(uint64(position), state.LastSeq) {
		msg, err := messages.Next()
		if err != nil {
			return false, err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return false, err
		}
		if seq := meta.Sequence.Stream; seq <= last+1 {
			last = max(last, seq)
			continue
		}
		if stream, err = r.js.Stream(ctx, StreamName); err != nil {
			return false, err
		}
		if first := stream.CachedInfo().State.FirstSeq; first <= last+1 || first < meta.Sequence.Stream {
			return false, nil
		}
		last = meta.Sequence.Stream
	}
	return true, nil
}
