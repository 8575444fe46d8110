package bus

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/agent-kanban/agent-kanban/events"
)

func TestRelayCopies(t *testing.T) {
	t.Parallel()
	r := newRig(t, newLog(0))
	r.run()
	for range 50 {
		r.commit(7)
	}
	r.commit(3000)
	r.level()
	r.verify(1)
	if s := r.relay.Status(); s.Rebuilds != 0 || s.LastError != "" || s.Lag != 0 {
		t.Errorf("status: got %+v, want no trouble", s)
	}
}

// A process that was killed after commits: the next one continues where the
// stream ends, whether the last acknowledgement was seen or not.
func TestRelayResumes(t *testing.T) {
	t.Parallel()
	r := newRig(t, newLog(100))
	r.run()
	r.quit()
	r.log.grow(50)
	r.run()
	r.verify(1)
	r.quit()
	r.run()
	r.verify(1)
	if s := r.relay.Status(); s.Rebuilds != 0 || s.LastError != "" {
		t.Errorf("status: got %+v, want no trouble", s)
	}
}

func TestStopFlushes(t *testing.T) {
	t.Parallel()
	r := newRig(t, newLog(0))
	r.run()
	r.commit(5000)
	r.relay.Stop()
	r.relay.Stop()
	r.verify(1)
	if s := r.relay.Status(); s.State != StateStopped || s.Position != 5000 {
		t.Errorf("status: got %+v, want stopped at 5000", s)
	}
	if err := r.relay.Start(t.Context()); !errors.Is(err, ErrStopped) {
		t.Errorf("start again: got %v, want ErrStopped", err)
	}
}

// Two relays that both believe to be the only one: the check-and-set fences.
func TestTwoRelays(t *testing.T) {
	t.Parallel()
	r := newRig(t, newLog(10))
	r.run()
	user, password := r.srv.Credentials()
	conn, err := Connect(t.Context(), "", r.srv, user, password)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	tail, relay := r.pair(conn)
	if err := errors.Join(tail.Start(t.Context()), relay.Start(t.Context())); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		batch := r.log.grow(3)
		r.tail.Publish(batch)
		tail.Publish(batch)
	}
	done := func() bool { return relay.Status().Position == r.log.head().Position }
	r.await("the second relay", done)
	r.level()
	relay.Stop()
	tail.Stop()
	r.verify(1)
	t.Logf("first %+v, second %+v", r.relay.Status(), relay.Status())
	if s := r.relay.Status(); s.Rebuilds != 1 || s.Restarts != 0 || len(s.Recovered) != 0 {
		t.Errorf("status: got %+v, want no repair", s)
	}
}

// What other processes commit reaches a Tail through the stream, long before
// the poll.
func TestOtherProcessesCommit(t *testing.T) {
	t.Parallel()
	r := newRig(t, newLog(10))
	r.run()
	other, err := NewTail(TailConfig{Log: r.log, Conn: r.conn, Poll: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer other.Stop()
	sub := other.Subscribe(10)
	for next := int64(11); next <= 200; {
		if next == r.log.head().Position+1 {
			r.commit(19)
		}
		batch, err := sub.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if batch[0].Position != next {
			t.Fatalf("got %d, want %d", batch[0].Position, next)
		}
		next += int64(len(batch))
	}
	if other.Holes() != 0 {
		t.Errorf("holes: got %d, want none", other.Holes())
	}
}

func TestStreamDeletedWhileIdle(t *testing.T) {
	t.Parallel()
	r := newRig(t, newLog(100))
	r.run(func(c *RelayConfig) { c.CheckEvery = 5 * time.Millisecond })
	if err := r.js.DeleteStream(t.Context(), StreamName); err != nil {
		t.Fatal(err)
	}
	r.await("the rebuild", func() bool { return r.relay.Status().Rebuilds == 2 }) // one at the start
	r.level()
	r.verify(1)
}

func TestStreamDeletedUnderLoad(t *testing.T) {
	t.Parallel()
	r := newRig(t, newLog(100))
	r.run()
	r.commit(500)
	if err := r.js.DeleteStream(t.Context(), StreamName); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		r.commit(50)
	}
	r.await("the rebuild", func() bool { return r.relay.Status().Rebuilds == 2 }) // one at the start
	r.level()
	r.verify(1)
}

// Somebody else writes into the stream: what does not stem from the log is kept
// aside and the stream made anew.
func TestForeignMessages(t *testing.T) {
	t.Parallel()
	r := newRig(t, newLog(100))
	r.run(func(c *RelayConfig) { c.CheckEvery = 5 * time.Millisecond })
	if _, err := r.js.Publish(t.Context(), "kanban.1.ticket_moved", []byte(`{"forged":true}`)); err != nil {
		t.Fatal(err)
	}
	r.await("the rebuild", func() bool { return r.relay.Status().LastRebuild == reasonAhead })
	r.level()
	r.verify(1)
	if got := r.relay.Status().Recovered; len(got) != 1 || filepath.Base(got[0]) != "events-101-101.jsonl" {
		t.Errorf("recovered: got %v, want the foreign message", got)
	}
}

func TestRebuildOnDemand(t *testing.T) {
	t.Parallel()
	r := newRig(t, newLog(100))
	r.run()
	r.relay.Rebuild("data was redacted")
	r.await("the rebuild", func() bool { return r.relay.Status().Rebuilds == 2 })
	r.level()
	r.verify(1)
	if s := r.relay.Status(); s.LastRebuild != "data was redacted" || s.LastError != "" {
		t.Errorf("status: got %+v", s)
	}
}

func TestOlderSettings(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*jetstream.StreamConfig)
		reason string
	}{
		"limits":       {func(c *jetstream.StreamConfig) { c.MaxAge, c.MaxBytes, c.MaxMsgs = time.Hour, 8<<20, 50_000 }, ""},
		"no denials":   {func(c *jetstream.StreamConfig) { c.DenyDelete, c.DenyPurge = false, false }, ""},
		"persist mode": {func(c *jetstream.StreamConfig) { c.PersistMode = jetstream.DefaultPersistMode }, reasonSettings},
		"storage": {func(c *jetstream.StreamConfig) {
			c.Storage, c.PersistMode = jetstream.MemoryStorage, jetstream.DefaultPersistMode
			c.MaxBytes = 1 << 20
		}, reasonSettings},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, newLog(0))
			config := RelayConfig{}.withDefaults().stream()
			test.change(&config)
			if _, err := r.js.CreateStream(t.Context(), config); err != nil {
				t.Fatal(err)
			}
			r.run()
			r.commit(100)
			r.level()
			r.verify(1)
			stream, err := r.js.Stream(t.Context(), StreamName)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := stream.CachedInfo().Config, r.relay.config.stream(); !sameConfig(got, want) {
				t.Errorf("settings: got %+v, want %+v", got, want)
			}
			if s := r.relay.Status(); s.LastRebuild != test.reason {
				t.Errorf("status: got %+v, want the reason %q", s, test.reason)
			}
		})
	}
}

// The window: what is too old or too much is left to the table.
func TestStreamKeepsAWindow(t *testing.T) {
	t.Parallel()
	r := newRig(t, newFatLog(1000, 4<<10))
	r.run(func(c *RelayConfig) { c.MaxBytes = 2 << 20 })
	stream, err := r.js.Stream(t.Context(), StreamName)
	if err != nil {
		t.Fatal(err)
	}
	from := int64(stream.CachedInfo().State.FirstSeq)
	if from < 500 || from > 800 {
		t.Errorf("first: got %d, want about three quarters of 2 MiB", from)
	}
	r.verify(from)
	r.quit()
	r.run(func(c *RelayConfig) { c.MaxBytes = 2 << 20 })
	if s := r.relay.Status(); s.Rebuilds != 0 {
		t.Errorf("next start: got %+v, want no rebuild", s)
	}
	r.quit()

	// All of it is older than a minute; the newest event stays in any case.
	r.log.grow(1)
	r.run(func(c *RelayConfig) { c.MaxBytes, c.MaxAge = 2<<20, time.Minute })
	r.relay.Rebuild("test")
	r.await("the rebuild", func() bool { return r.relay.Status().Rebuilds == 1 })
	r.level()
	r.verify(1001)
}

func TestFarBehind(t *testing.T) {
	t.Parallel()
	r := newRig(t, newFatLog(10, 100))
	small := func(c *RelayConfig) { c.MaxBytes = 2 << 20 }
	r.run(small)
	r.quit()
	r.log.grow(farBehind + 1)
	r.run(small)
	if s := r.relay.Status(); s.LastRebuild != reasonBehind {
		t.Errorf("status: got %+v, want a rebuild because %q", s, reasonBehind)
	}
}

func TestEventTooLargeForTheBus(t *testing.T) {
	t.Parallel()
	r := newRig(t, newLog(3))
	r.log.fat = strings.Repeat("y", 9<<20)
	r.log.grow(1)
	r.log.fat = ""
	r.log.grow(3)
	r.run()
	stream, err := r.js.Stream(t.Context(), StreamName)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := stream.GetMsg(t.Context(), 4)
	if err != nil {
		t.Fatal(err)
	}
	var e events.Envelope
	if err := e.UnmarshalJSON(msg.Data); err != nil {
		t.Fatal(err)
	}
	if !e.Redacted() || e.Hash != r.log.row(4).Hash || events.Check(r.log.rows[2].Head(), &e) != nil {
		t.Errorf("got %s, want the event without its data, its chain intact", msg.Data)
	}
}

func TestLogFailsForAWhile(t *testing.T) {
	t.Parallel()
	r := newRig(t, newLog(10))
	r.log.fail(errDisk)
	if err := func() error {
		tail, _ := r.pair(r.conn)
		return tail.Start(t.Context())
	}(); !errors.Is(err, errDisk) {
		t.Errorf("start of the tail: got %v, want the log's error", err)
	}
	r.log.fail(nil)
	r.tail, r.relay = r.pair(r.conn, func(c *RelayConfig) { c.StartTimeout = 10 * time.Millisecond })
	if err := r.tail.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.log.fail(errDisk)
	if err := r.relay.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.await("the failure", func() bool { return strings.Contains(r.relay.Status().LastError, errDisk.Error()) })
	r.log.fail(nil)
	r.level()
	r.verify(1)
	if s := r.relay.Status(); s.Restarts != 0 {
		t.Errorf("status: got %+v, want no restart of a server that is innocent", s)
	}
}

func TestRelayRefusals(t *testing.T) {
	t.Parallel()
	tail, err := NewTail(TailConfig{Log: newLog(0)})
	if err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]RelayConfig{
		"nothing":  {},
		"no conn":  {Log: newLog(0), Tail: tail, RecoveredDir: "x"},
		"negative": {Log: newLog(0), Tail: tail, RecoveredDir: "x", Conn: &nats.Conn{}, InFlight: -1},
	} {
		if _, err := NewRelay(config); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	if _, err := NewTail(TailConfig{}); err == nil {
		t.Error("tail without a log: got no error")
	}
	if _, err := NewTail(TailConfig{Log: newLog(0), MaxBatch: -1}); err == nil {
		t.Error("tail with a negative limit: got no error")
	}
}

// Each message carries the trace of its own event, and none that of another.
func TestMessagesCarryTheirTrace(t *testing.T) {
	t.Parallel()
	r := newRig(t, newLog(0))
	r.run(func(c *RelayConfig) {
		c.Traceparent = func(position int64) string {
			if position%3 != 0 {
				return ""
			}
			return fmt.Sprintf("00-%032x-%016x-01", position, position)
		}
	})
	r.commit(9)
	r.level()
	r.verify(1)
	stream, err := r.js.Stream(t.Context(), StreamName)
	if err != nil {
		t.Fatal(err)
	}
	for position := int64(1); position <= 9; position++ {
		msg, err := stream.GetMsg(t.Context(), uint64(position))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := msg.Header.Get(HeaderTraceparent), r.relay.config.Traceparent(position); got != want {
			t.Errorf("message %d: traceparent %q, want %q", position, got, want)
		}
	}
}
