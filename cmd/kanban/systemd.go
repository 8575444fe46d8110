package main

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notifier tells the service manager how the server is, as units of
// Type=notify-reload want it (sd_notify(3)). Without a manager it does nothing.
type notifier struct{ log *slog.Logger }

func (n notifier) say(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		n.log.Warn("the service manager cannot be told", "state", state, "error", err)
	}
}

func (n notifier) ready(url string) {
	n.say(daemon.SdNotifyReady + "\nSTATUS=serving " + url)
}

func (n notifier) stopping() { n.say(daemon.SdNotifyStopping + "\nSTATUS=stopping") }

// reload wraps what SIGHUP asks for: the manager waits until it is done.
func (n notifier) reload(work func()) {
	n.say(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
	work()
	n.say(daemon.SdNotifyReady)
}

// watchdog says that the server is alive twice in each period that the manager
// set, for as long as alive says so. A server that hangs is then restarted; one
// that only lacks disk space is not, for a restart gives it none.
func (n notifier) watchdog(ctx context.Context, alive func(context.Context) bool) {
	period, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		n.log.Warn("the watchdog of the service manager cannot be served", "error", err)
	}
	if err != nil || period <= 0 {
		return
	}
	tick := time.NewTicker(period / 2)
	defer tick.Stop()
	for {
		if bounded, cancel := context.WithTimeout(ctx, period/2); alive(bounded) {
			cancel()
			n.say(daemon.SdNotifyWatchdog)
		} else {
			cancel()
			if ctx.Err() == nil {
				n.log.Error("the server does not answer itself; the service manager will restart it", "watchdog", period)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// answers reports whether the server answers a request, be it only to say that
// it is down. It asks in the process: the certificate is made for other callers.
func answers(ctx context.Context, server http.Handler) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "/health/live", http.NoBody)
	if err != nil {
		return false
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.ServeHTTP(&nowhere{}, req)
	}()
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

// nowhere takes a reply that nobody reads.
type nowhere struct{ header http.Header }

func (n *nowhere) Header() http.Header {
	if n.header == nil {
		n.header = http.Header{}
	}
	return n.header
}
func (n *nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (n *nowhere) WriteHeader(int)             {}
