package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/agent-kanban/agent-kanban/events"
)

// errOutrun: the stream's last sequence is not what was expected. Another relay
// was faster, or the stream lost its end.
var errOutrun = errors.New("the stream's end is elsewhere")

// demanded ends copy because somebody wants the stream made anew.
type demanded struct{ reason string }

func (d *demanded) Error() string { return "rebuild: " + d.reason }

// ackEvery is how many messages go out with one acknowledgement. The expected
// last sequence makes one sufficient: message N is accepted only behind N-1.
const ackEvery = 128

// maxBytesInFlight keeps the server's queue short whatever events weigh.
const maxBytesInFlight = 8 << 20

// pipeline is one run of copy: what was sent, what was acknowledged.
type pipeline struct {
	relay *Relay
	msg   *nats.Msg // reused: the connection copies what it sends
	inbox string

	sent, acked int64 // positions
	unasked     int   // messages since the last one that asks for an answer
	bytes       int   // sent since then the window was empty
	heard       time.Time
	pending     []events.Envelope
}

// copy publishes what follows position until an error, a demand, or the end of
// everything committed before Stop, which is nil.
func (r *Relay) copy(ctx context.Context, position int64) error {
	ctx, cancel := context.WithCancel(ctx)
	var pump sync.WaitGroup
	defer pump.Wait()
	defer cancel()

	batches := make(chan []events.Envelope)
	ended := make(chan error, 1)
	subscription := r.config.Tail.Subscribe(position)
	pump.Go(func() {
		for {
			batch, err := subscription.next(ctx, false)
			if err != nil {
				ended <- err
				return
			}
			select {
			case batches <- batch:
			case <-ctx.Done():
				return
			}
		}
	})

	status := r.config.Conn.StatusChanged(nats.RECONNECTING, nats.CLOSED)
	defer r.config.Conn.RemoveStatusListener(status)
	p := newPipeline(r, position)
	answers := make(chan *nats.Msg, r.config.InFlight+ackEvery)
	inbox, err := r.config.Conn.ChanSubscribe(p.inbox+"*", answers)
	if err != nil {
		return busError("subscribe to answers", err)
	}
	defer inbox.Unsubscribe() //nolint:errcheck // fails where the connection is gone, and the subscription with it

	patience := time.NewTicker(max(time.Millisecond, r.config.AckTimeout/4))
	defer patience.Stop()
	look := time.NewTicker(r.config.CheckEvery)
	defer look.Stop()
	stopping := r.stopping
	last := int64(-1) // where to end, once stopping
	for {
		if err := p.push(); err != nil {
			return err
		}
		if last >= 0 && p.acked >= last {
			return nil
		}
		more := batches
		if len(p.pending) > 0 {
			more = nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-stopping:
			stopping, last = nil, r.config.Tail.Head()
		case err := <-ended:
			return err
		case p.pending = <-more:
			if r.forgets(p.pending) {
				return &demanded{reasonRedacted}
			}
		case answer := <-answers:
			if err := p.answer(answer); err != nil {
				return err
			}
		case <-status:
			return busError("publish", nats.ErrDisconnected)
		case reason := <-r.demand:
			return &demanded{reason}
		case <-patience.C:
			if p.sent > p.acked && time.Since(p.heard) > r.config.AckTimeout {
				return busError("publish", fmt.Errorf("no answer for %s", r.config.AckTimeout))
			}
		case <-look.C:
			if p.sent == p.acked {
				if err := r.look(ctx, p.acked); err != nil {
					return err
				}
			}
		}
	}
}

// look checks an idle stream: it may have been deleted, or written to.
func (r *Relay) look(ctx context.Context, position int64) error {
	return r.request(ctx, "look at the stream", func(ctx context.Context) error {
		stream, err := r.js.Stream(ctx, StreamName)
		if err != nil {
			return err
		}
		if last := stream.CachedInfo().State.LastSeq; last != uint64(position) {
			return fmt.Errorf("expected %d, found %d: %w", position, last, errOutrun)
		}
		return nil
	})
}

func newPipeline(r *Relay, position int64) *pipeline {
	return &pipeline{
		relay: r,
		inbox: r.config.Conn.NewInbox() + ".",
		sent:  position, acked: position,
		msg: &nats.Msg{Header: nats.Header{
			jetstream.ExpectedLastSeqHeader: {strconv.FormatInt(position, 10)},
			HeaderPosition:                  {""},
			HeaderHash:                      {""},
		}},
	}
}

// push sends what is pending as far as the window allows.
func (p *pipeline) push() error {
	for len(p.pending) > 0 && p.sent-p.acked < int64(p.relay.config.InFlight) && p.bytes < maxBytesInFlight {
		e := &p.pending[0]
		p.pending = p.pending[1:]
		if err := p.send(e); err != nil {
			return busError(fmt.Sprintf("publish position %d", e.Position), err)
		}
	}
	return nil
}

func (p *pipeline) send(e *events.Envelope) error {
	if p.sent == p.acked {
		p.heard = time.Now()
	}
	if e.Position != p.sent+1 {
		return fmt.Errorf("follows %d: %w", p.sent, ErrMissing)
	}
	p.msg.Subject, p.msg.Data = e.Subject(), e.JSON()
	// Headers and record need a little room, too.
	if limit := p.relay.config.Conn.MaxPayload(); int64(len(p.msg.Data))+512 > limit {
		p.relay.config.Logger.Warn("event is too large for the bus and travels without its data",
			"position", e.Position, "bytes", len(p.msg.Data), "limit", limit)
		p.msg.Data = withoutData(e)
	}
	position := strconv.FormatInt(e.Position, 10)
	p.msg.Header[HeaderPosition][0] = position
	p.msg.Header[HeaderHash][0] = e.Hash.String()
	if p.relay.config.Traceparent != nil {
		if parent := p.relay.config.Traceparent(e.Position); parent != "" {
			p.msg.Header[HeaderTraceparent] = []string{parent}
		} else {
			delete(p.msg.Header, HeaderTraceparent)
		}
	}
	p.bytes += len(p.msg.Data)
	p.unasked++
	p.msg.Reply = ""
	// Whoever stops sending must hear about what was sent.
	if p.unasked >= ackEvery || len(p.pending) == 0 || p.bytes >= maxBytesInFlight ||
		e.Position-p.acked >= int64(p.relay.config.InFlight) {
		p.msg.Reply, p.unasked = p.inbox+position, 0
	}
	if err := p.relay.config.Conn.PublishMsg(p.msg); err != nil {
		return err
	}
	p.msg.Header[jetstream.ExpectedLastSeqHeader][0] = position
	p.sent = e.Position
	return nil
}

// withoutData is the form that a redacted event has: everything but the data,
// which whoever needs it finds in the log.
func withoutData(e *events.Envelope) []byte {
	bare := events.Envelope{
		Position: e.Position, Stream: e.Stream, Version: e.Version, Type: e.Type, Schema: e.Schema, ID: e.ID,
		RecordedAt: e.RecordedAt, Actor: e.Actor, CommandID: e.CommandID, CorrelationID: e.CorrelationID,
		CausationID: e.CausationID, BoardID: e.BoardID, TicketID: e.TicketID, DataSHA: e.DataSHA, Hash: e.Hash, Chain: e.Chain, ActorSHA: e.ActorSHA,
	}
	return bare.JSON()
}

// wrongLastSequence is JetStream's code for a failed check-and-set.
const wrongLastSequence = 10071

// answer takes an acknowledgement: everything up to it is stored.
func (p *pipeline) answer(msg *nats.Msg) error {
	position, err := strconv.ParseInt(msg.Subject[len(p.inbox):], 10, 64)
	if err != nil {
		return nil //nolint:nilerr // not to a message of ours
	}
	if msg.Header.Get("Status") == "503" {
		return busError("publish", jetstream.ErrNoStreamResponse)
	}
	var ack struct {
		Stream string              `json:"stream"`
		Seq    int64               `json:"seq"`
		Error  *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(msg.Data, &ack); err != nil {
		return busError("publish", err)
	}
	switch {
	case ack.Error != nil && ack.Error.ErrorCode == wrongLastSequence:
		return fmt.Errorf("publish position %d: %s: %w", position, ack.Error.Description, errOutrun)
	case ack.Error != nil:
		return busError(fmt.Sprintf("publish position %d", position), ack.Error)
	case ack.Stream != StreamName || ack.Seq != position:
		return fmt.Errorf("publish position %d: stored as %d in %s: %w", position, ack.Seq, ack.Stream, errOutrun)
	}
	if position > p.acked {
		p.acked, p.heard = position, time.Now()
		if p.sent == p.acked {
			p.bytes = 0
		}
		p.relay.status.reached(position)
	}
	return nil
}
