package bus

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// holes counts the sequences that the stream skipped.
type holes struct{ count atomic.Int64 }

// listen turns the messages of the stream into hints. What they say is not
// taken over, not even where it would fit: a stream may be ahead of a log that
// lost its end or was restored, and then the table alone is right.
func (t *Tail) listen(ctx context.Context) {
	backoff := newBackoff(50*time.Millisecond, 5*time.Second)
	for ctx.Err() == nil {
		heard, err := t.consume(ctx)
		if ctx.Err() != nil {
			return
		}
		if heard {
			backoff.reset()
		}
		// The poll keeps everything going, so this is worth no more than a note.
		t.config.Logger.Debug("tail listens to the stream again", "error", err)
		if !backoff.wait(ctx) {
			return
		}
	}
}

// consume follows one ordered consumer until it fails.
func (t *Tail) consume(ctx context.Context) (heard bool, err error) {
	js, err := jetstream.New(t.config.Conn, jetstream.WithDefaultTimeout(requestTimeout))
	if err != nil {
		return false, err
	}
	request, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	consumer, err := js.OrderedConsumer(request, StreamName, jetstream.OrderedConsumerConfig{
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       uint64(t.Head() + 1),
		HeadersOnly:       true, // a hint needs no payload
		InactiveThreshold: 30 * time.Second,
		MaxResetAttempts:  1, // listen starts anew, at the head of then
	})
	if err != nil {
		return false, err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(512), jetstream.PullHeartbeat(5*time.Second))
	if err != nil {
		return false, err
	}
	defer messages.Stop()
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	var last uint64
	for {
		msg, err := messages.Next()
		if err != nil {
			if errors.Is(err, jetstream.ErrMsgIteratorClosed) {
				return heard, errors.Join(ctx.Err(), err)
			}
			return heard, err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return heard, err
		}
		heard = true
		seq := meta.Sequence.Stream
		if last != 0 && seq > last+1 {
			t.holes.count.Add(int64(seq - last - 1))
			t.config.Logger.Warn("the stream skipped events, the log has them", "from", last+1, "to", seq-1)
		}
		last = seq
		if int64(seq) > t.Head() {
			t.hint(int64(seq))
		}
	}
}

// Connect returns a connection that never gives up: to url, or through memory
// to provider where url is empty. user and password may be empty. A server that
// is not there yet is no error.
func Connect(ctx context.Context, url string, provider nats.InProcessConnProvider, user, password string) (*nats.Conn, error) {
	options := []nats.Option{
		nats.Name("kanban"),
		nats.MaxReconnects(-1),
		nats.RetryOnFailedConnect(true),
		nats.ReconnectWait(100 * time.Millisecond),
		nats.ReconnectJitter(50*time.Millisecond, 100*time.Millisecond),
		// Nothing is kept for a server that is away: whoever publishes notices at
		// once and resumes from the table.
		nats.ReconnectBufSize(-1),
		nats.FlusherTimeout(5 * time.Second),
		nats.Timeout(5 * time.Second),
		// Its default writes to stderr. Whoever publishes or listens notices.
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	}
	if url == "" {
		options = append(options, nats.InProcessServer(provider))
	}
	if user != "" {
		options = append(options, nats.UserInfo(user, password))
	}
	conn, err := nats.Connect(url, options...)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}
