package main

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// manager is a service manager that listens, in the way of sd_notify(3).
func manager(t *testing.T) (socket string, next func() string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return socket, func() string {
		t.Helper()
		buf := make([]byte, 4096)
		_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatalf("the manager is not told: %v", err)
		}
		return string(buf[:n])
	}
}

func TestServiceManagerIsToldTheWholeLife(t *testing.T) {
	t.Parallel()
	socket, next := manager(t)
	c := newChild(t, t.TempDir())
	c.env = append(c.env, "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=200000")
	c.start()
	if said := next(); !strings.HasPrefix(said, "READY=1\n") {
		t.Errorf("first %q, want READY=1", said)
	}
	for range 3 {
		if said := next(); said != "WATCHDOG=1" {
			t.Errorf("then %q, want WATCHDOG=1", said)
		}
	}
	_ = c.cmd.Process.Signal(syscall.SIGHUP)
	await := func(want string) {
		t.Helper()
		for said := next(); !strings.HasPrefix(said, want); said = next() {
			if said != "WATCHDOG=1" {
				t.Fatalf("%q, want %s", said, want)
			}
		}
	}
	await("RELOADING=1\nMONOTONIC_USEC=")
	await("READY=1")
	stopped := make(chan error, 1)
	go func() { stopped <- c.stop() }()
	await("STOPPING=1")
	if err := <-stopped; err != nil {
		t.Errorf("the server ended with %v", err)
	}
}

// A server that hangs is not reported alive.
func TestWatchdogIsSilentAboutAServerThatHangs(t *testing.T) {
	socket, next := manager(t)
	t.Setenv("NOTIFY_SOCKET", socket)
	t.Setenv("WATCHDOG_USEC", "100000")
	var log bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	n := notifier{slog.New(slog.NewTextHandler(&log, nil))}
	n.watchdog(ctx, func(context.Context) bool {
		if asked++; asked == 3 {
			cancel()
			return true
		}
		return asked == 2
	})
	if said := next(); said != "WATCHDOG=1" {
		t.Errorf("%q, want WATCHDOG=1", said)
	}
	if asked != 3 || strings.Count(log.String(), "does not answer itself") != 1 {
		t.Errorf("asked %d times, log %q; want the first time reported", asked, log.String())
	}
}
