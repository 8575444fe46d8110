package embedded_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/agent-kanban/agent-kanban/embedded"
)

func start(t *testing.T, config embedded.Config) *embedded.Server {
	t.Helper()
	if config.StoreDir == "" {
		config.StoreDir = t.TempDir()
	}
	srv, err := embedded.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Stop)
	return srv
}

func connect(t *testing.T, srv *embedded.Server, more ...nats.Option) *nats.Conn {
	t.Helper()
	user, password := srv.Credentials()
	nc, err := nats.Connect("", append([]nats.Option{nats.InProcessServer(srv), nats.UserInfo(user, password)}, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func stream(t *testing.T, nc *nats.Conn) nats.JetStreamContext {
	t.Helper()
	js, err := nc.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.AddStream(&nats.StreamConfig{Name: "S", Subjects: []string{"s.>"}}); err != nil {
		t.Fatal(err)
	}
	return js
}

func TestStoreSurvivesRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	srv := start(t, embedded.Config{StoreDir: dir})
	again := make(chan struct{}, 1)
	nc := connect(t, srv, nats.MaxReconnects(-1), nats.ReconnectWait(time.Millisecond),
		nats.ReconnectHandler(func(*nats.Conn) { again <- struct{}{} }))
	js := stream(t, nc)
	if _, err := js.Publish("s.1", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	if err := srv.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-again
	msg, err := js.GetMsg("S", 1)
	if err != nil || string(msg.Data) != "kept" {
		t.Errorf("after restart: got %v (%v), want the message", msg, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "jetstream")); err != nil {
		t.Errorf("store: %v, want it in StoreDir/jetstream", err)
	}
	if srv.Addr() != nil {
		t.Errorf("addr: got %v, want no port", srv.Addr())
	}
}

func TestStopIsSafe(t *testing.T) {
	t.Parallel()
	srv, err := embedded.New(embedded.Config{StoreDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	srv.Stop()
	if _, err := srv.InProcessConn(); !errors.Is(err, embedded.ErrNotRunning) {
		t.Errorf("connect before start: got %v, want ErrNotRunning", err)
	}
	for range 2 {
		if err := srv.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	srv.Stop()
	srv.Stop()
	if _, err := srv.InProcessConn(); !errors.Is(err, embedded.ErrNotRunning) {
		t.Errorf("connect after stop: got %v, want ErrNotRunning", err)
	}
}

func TestGuests(t *testing.T) {
	t.Parallel()
	srv := start(t, embedded.Config{
		Listen: "127.0.0.1:0", Username: "guest", Password: "secret",
		GuestPublish: []string{"$JS.API.STREAM.INFO.S"},
	})
	js := stream(t, connect(t, srv))
	url := "nats://" + srv.Addr().String()

	if nc, err := nats.Connect(url); err == nil {
		nc.Close()
		t.Error("without a password: connected, want a refusal")
	}
	refused := make(chan error, 1)
	nc, err := nats.Connect(url, nats.UserInfo("guest", "secret"),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	sub, err := nc.SubscribeSync("s.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Publish("s.forged", nil); err != nil {
		t.Fatal(err)
	}
	if err := <-refused; !errors.Is(err, nats.ErrPermissionViolation) {
		t.Errorf("guest publishes: got %v, want a permissions violation", err)
	}
	if _, err := js.Publish("s.real", nil); err != nil {
		t.Fatal(err)
	}
	if msg, err := sub.NextMsg(10 * time.Second); err != nil || msg.Subject != "s.real" {
		t.Errorf("guest reads: got %v (%v), want s.real", msg, err)
	}
	guest, err := nc.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := guest.StreamInfo("S"); err != nil || info.State.Msgs != 1 {
		t.Errorf("guest asks for what is allowed: got %v (%v), want one message", info, err)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]embedded.Config{
		"no folder":    {},
		"open port":    {StoreDir: "x", Listen: "127.0.0.1:0"},
		"no port":      {StoreDir: "x", Listen: "localhost", Username: "u", Password: "p"},
		"bad port":     {StoreDir: "x", Listen: "localhost:many", Username: "u", Password: "p"},
		"negative":     {StoreDir: "x", MaxStore: -1},
		"half a login": {StoreDir: "x", Listen: "127.0.0.1:0", Username: "u"},
	} {
		if _, err := embedded.New(config); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func TestStartFailsOnAnUnusableFolder(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	srv, err := embedded.New(embedded.Config{
		StoreDir: file, StartTimeout: 2 * time.Second,
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	err = srv.Start(t.Context())
	if err == nil {
		srv.Stop()
		t.Fatal("start on a file: got no error")
	}
	if !strings.Contains(err.Error(), "not a directory") || !strings.Contains(log.String(), "nats server error") {
		t.Errorf("got %q and the log %q, want the reason in both", err, log.String())
	}
}
