package bus

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestConnectBeforeTheServerRuns(t *testing.T) {
	t.Parallel()
	r := newRig(t, newLog(10))
	r.halt()
	user, password := r.srv.Credentials()
	conn, err := Connect(t.Context(), "", r.srv, user, password)
	if err != nil {
		t.Fatal(err)
	}
	r.conn = conn
	if r.js, err = jetstream.New(conn); err != nil {
		t.Fatal(err)
	}
	r.start(func(c *RelayConfig) { c.StartTimeout, c.Restart = 10*time.Millisecond, nil })
	if err := r.srv.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.level()
	r.verify(1)
}

func TestServerRestartsUnderLoad(t *testing.T) {
	t.Parallel()
	r := newRig(t, newLog(0))
	r.run()
	sub := r.tail.Subscribe(0)
	var load sync.WaitGroup
	var restarts atomic.Bool
	load.Go(func() {
		for n := 0; !restarts.Load() || n < 200; n++ {
			r.commit(5)
			if n%20 == 0 {
				<-time.After(time.Millisecond)
			}
		}
	})
	for range 5 {
		if err := r.srv.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	restarts.Store(true)
	load.Wait()
	r.level()
	r.verify(1)
	for next := int64(1); next <= r.log.head().Position; {
		batch, err := sub.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range batch {
			if e.Position != next {
				t.Fatalf("subscription: got %d, want %d", e.Position, next)
			}
			next++
		}
	}
}

// deafServer leads to a server that can be made to keep silent, as one does whose
// disk is full: connections stay open, requests are not answered.
type deafServer struct {
	inner nats.InProcessConnProvider
	deaf  atomic.Bool
}

func (s *deafServer) InProcessConn() (net.Conn, error) {
	conn, err := s.inner.InProcessConn()
	return &deafConn{conn, &s.deaf}, err
}

type deafConn struct {
	net.Conn
	deaf *atomic.Bool
}

func (c *deafConn) Write(p []byte) (int, error) {
	if c.deaf.Load() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func TestSilentServerIsRestarted(t *testing.T) {
	t.Parallel()
	r := newRig(t, newLog(10))
	server := &deafServer{inner: r.srv}
	user, password := r.srv.Credentials()
	r.conn.Close()
	conn, err := Connect(t.Context(), "", server, user, password)
	if err != nil {
		t.Fatal(err)
	}
	r.conn = conn
	if r.js, err = jetstream.New(conn); err != nil {
		t.Fatal(err)
	}
	var calls atomic.Int64
	r.run(func(c *RelayConfig) {
		c.AckTimeout, c.RestartPause = 50*time.Millisecond, time.Millisecond
		c.Restart = func(ctx context.Context) error {
			if calls.Add(1) == 1 {
				return errDisk
			}
			server.deaf.Store(false)
			return r.srv.Restart(ctx)
		}
	})
	server.deaf.Store(true)
	r.commit(5000)
	r.await("trouble", func() bool { return r.relay.Status().State == StateFailing })
	// Commands and those who follow the log do not notice.
	sub := r.tail.Subscribe(5010)
	r.commit(1)
	if batch, err := sub.Next(t.Context()); err != nil || batch[0].Position != 5011 {
		t.Errorf("next: got %v (%v), want 5011 while the bus is silent", batch, err)
	}
	r.level()
	r.verify(1)
	if s := r.relay.Status(); s.Restarts < 2 || s.LastError == "" || s.LastErrorAt.IsZero() {
		t.Errorf("status: got %+v, want the restarts and an error", s)
	}
}

// No server at all: neither start nor stop hang on it, and the relay catches up
// when it comes.
func TestServerIsAway(t *testing.T) {
	t.Parallel()
	r := newRig(t, newLog(10))
	r.srv.Stop()
	r.start(func(c *RelayConfig) { c.StartTimeout, c.Restart = 10*time.Millisecond, nil })
	r.await("the failure", func() bool { return r.relay.Status().State == StateFailing })
	r.commit(10)
	if s := r.relay.Status(); s.Lag != 20 {
		t.Errorf("lag: got %+v, want 20", s)
	}
	if err := r.srv.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.level()
	r.verify(1)
	r.srv.Stop()
	r.await("the failure", func() bool { return r.relay.Status().State == StateFailing })
	r.relay.Stop()
}
