package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/agent-kanban/agent-kanban/embedded"
	"github.com/agent-kanban/agent-kanban/events"
)

// memoryLog is an events.Reader over a slice.
type memoryLog struct {
	mu    sync.Mutex
	rows  []events.Envelope
	born  time.Time
	fat   string // makes comments longer
	reads int
	err   error // what Head and Read return while it is set
}

var _ events.Reader = (*memoryLog)(nil)

func newLog(n int) *memoryLog { return newFatLog(n, 0) }

// newFatLog has comments of about the given number of bytes.
func newFatLog(n, bytes int) *memoryLog {
	return newLogOf(time.Now().Add(-time.Hour), n, bytes)
}

// newLogOf is the same log wherever it is made with the same time of birth.
func newLogOf(born time.Time, n, bytes int) *memoryLog {
	l := &memoryLog{born: born, fat: strings.Repeat("x", bytes)}
	l.grow(n)
	return l
}

// grow commits n more events and returns them, prepared.
func (l *memoryLog) grow(n int) []events.Envelope { return l.growAs(n, "") }

// growAs does so with a mark that makes another history of them.
func (l *memoryLog) growAs(n int, mark string) []events.Envelope {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.append(n, mark)
}

func (l *memoryLog) append(n int, mark string) []events.Envelope {
	var head events.Head
	if len(l.rows) > 0 {
		head = l.rows[len(l.rows)-1].Head()
	}
	before := len(l.rows)
	for range n {
		position := head.Position + 1
		e, err := events.Seal(head, events.Envelope{
			Stream: "board-1", Version: position, BoardID: 1, TicketID: 7,
			ID:         fmt.Sprintf("01890000-0000-7000-8000-%012d", position),
			RecordedAt: l.born.Add(time.Duration(position) * time.Millisecond),
			Actor:      events.Actor{Kind: events.Human, ID: 3, Name: "ada"}, CommandID: "c-" + mark,
		}, events.CommentAdded{CommentID: position, Text: fmt.Sprintf("comment %d %s%s", position, mark, l.fat)})
		if err != nil {
			panic(err)
		}
		e.Prepare()
		l.rows = append(l.rows, e)
		head = e.Head()
	}
	return l.rows[before:len(l.rows):len(l.rows)]
}

// cut forgets everything after position, as a database that was torn or
// replaced by an older one.
func (l *memoryLog) cut(position int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows = append([]events.Envelope(nil), l.rows[:position]...)
}

func (l *memoryLog) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func (l *memoryLog) row(position int64) events.Envelope {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rows[position-1]
}

func (l *memoryLog) head() events.Head {
	h, _ := l.Head(context.Background())
	return h
}

func (l *memoryLog) Head(context.Context) (events.Head, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil || len(l.rows) == 0 {
		return events.Head{}, l.err
	}
	return l.rows[len(l.rows)-1].Head(), nil
}

func (l *memoryLog) Read(_ context.Context, q events.Query) ([]events.Envelope, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return nil, l.err
	}
	l.reads++
	last := int64(len(l.rows))
	if q.UpTo > 0 {
		last = min(last, q.UpTo)
	}
	last = min(last, q.After+int64(cmp.Or(q.Limit, events.DefaultLimit)))
	if q.After >= last {
		return nil, nil
	}
	return append([]events.Envelope(nil), l.rows[q.After:last]...), nil
}

func (l *memoryLog) LogID() string { return "log" }

var errDisk = errors.New("disk trouble")

// rig is a server, a log and what runs between them.
type rig struct {
	t     testing.TB
	dir   string // data directory
	log   *memoryLog
	srv   *embedded.Server
	conn  *nats.Conn
	js    jetstream.JetStream
	tail  *Tail
	relay *Relay
}

func newRig(t *testing.T, log *memoryLog) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), log: log}
	r.boot()
	t.Cleanup(r.halt)
	return r
}

// boot starts the server and connects to it.
func (r *rig) boot() {
	r.t.Helper()
	srv, err := embedded.New(embedded.Config{StoreDir: r.dir})
	if err != nil {
		r.t.Fatal(err)
	}
	if err := srv.Start(context.Background()); err != nil {
		r.t.Fatal(err)
	}
	user, password := srv.Credentials()
	conn, err := Connect(context.Background(), "", srv, user, password)
	if err != nil {
		r.t.Fatal(err)
	}
	if r.js, err = jetstream.New(conn); err != nil {
		r.t.Fatal(err)
	}
	r.srv, r.conn = srv, conn
}

// run starts Tail and Relay and waits until the stream is level with the log.
func (r *rig) run(change ...func(*RelayConfig)) {
	r.t.Helper()
	r.start(change...)
	r.level()
}

func (r *rig) start(change ...func(*RelayConfig)) {
	r.t.Helper()
	r.tail, r.relay = r.pair(r.conn, change...)
	if err := r.tail.Start(context.Background()); err != nil {
		r.t.Fatal(err)
	}
	if err := r.relay.Start(context.Background()); err != nil {
		r.t.Fatal(err)
	}
}

// pair makes a Tail and a Relay as one process has them.
func (r *rig) pair(conn *nats.Conn, change ...func(*RelayConfig)) (*Tail, *Relay) {
	r.t.Helper()
	tail, err := NewTail(TailConfig{Log: r.log, Conn: conn})
	if err != nil {
		r.t.Fatal(err)
	}
	config := RelayConfig{
		Log: r.log, Tail: tail, Conn: conn, RecoveredDir: filepath.Join(r.dir, "recovered"),
		Restart: r.srv.Restart, Logger: slog.New(slog.NewTextHandler(r.t.Output(), nil)),
	}
	for _, c := range change {
		c(&config)
	}
	relay, err := NewRelay(config)
	if err != nil {
		r.t.Fatal(err)
	}
	return tail, relay
}

// quit stops Relay and Tail.
func (r *rig) quit() {
	if r.relay != nil {
		r.relay.Stop()
		r.tail.Stop()
		r.relay, r.tail = nil, nil
	}
}

// halt stops everything, so that the files can be touched.
func (r *rig) halt() {
	r.quit()
	if r.conn != nil {
		r.conn.Close()
		r.srv.Stop()
		r.conn = nil
	}
}

// commit appends n events and hands them over.
func (r *rig) commit(n int) { r.tail.Publish(r.log.grow(n)) }

// level waits until the relay has copied everything.
func (r *rig) level() {
	r.t.Helper()
	r.await("the stream to be level with the log", func() bool {
		s := r.relay.Status()
		return s.State == StateRelaying && s.Position == r.log.head().Position
	})
}

// await asks again until ok, for at most half a minute.
func (r *rig) await(what string, ok func() bool) {
	r.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			r.t.Fatalf("waited too long for %s; status %+v", what, r.relay.Status())
		}
	}
}

// verify reads the stream as an outside consumer does: from is its first
// sequence, and every message is the log's row.
func (r *rig) verify(from int64) {
	r.t.Helper()
	head := r.log.head().Position
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	stream, err := r.js.Stream(ctx, StreamName)
	if err != nil {
		r.t.Fatal(err)
	}
	state := stream.CachedInfo().State
	if int64(state.FirstSeq) != from || int64(state.LastSeq) != head || int64(state.Msgs) != head-from+1 || state.NumDeleted != 0 {
		r.t.Fatalf("stream: got %d…%d with %d messages, %d deleted; want %d…%d", state.FirstSeq, state.LastSeq, state.Msgs, state.NumDeleted, from, head)
	}
	consumer, err := r.js.OrderedConsumer(ctx, StreamName, jetstream.OrderedConsumerConfig{})
	if err != nil {
		r.t.Fatal(err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		r.t.Fatal(err)
	}
	defer messages.Stop()
	for position := from; position <= head; position++ {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			r.t.Fatalf("message %d: %v", position, err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			r.t.Fatal(err)
		}
		row := r.log.row(position)
		if int64(meta.Sequence.Stream) != position || string(msg.Data()) != string(row.JSON()) || msg.Subject() != row.Subject() {
			r.t.Fatalf("message %d: got sequence %d on %s: %s", position, meta.Sequence.Stream, msg.Subject(), msg.Data())
		}
		if got := msg.Headers().Get(HeaderHash); got != row.Hash.String() {
			r.t.Fatalf("message %d: hash %s, want %s", position, got, row.Hash)
		}
		if got := msg.Headers().Get(HeaderPosition); got != fmt.Sprint(position) {
			r.t.Fatalf("message %d: header says %s", position, got)
		}
	}
}
