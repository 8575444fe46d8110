package metrics

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Sources are asked once at every scrape. A nil one leaves its metrics out; none
// may block for long.
type Sources struct {
	// Head is the last position of the log.
	Head func() int64
	// Waiting is how many commands wait for their turn.
	Waiting func() int
	// Relay copies the log to the bus.
	Relay func() Relay
	// Followers are those who follow the log, with the last position that each
	// has dealt with: read_model, live_feed, webhooks.
	Followers func() map[string]int64
	// ReadModel is how the rows are kept up.
	ReadModel func() ReadModel
	// Sockets are the WebSocket connections.
	Sockets func() Sockets
	// Webhooks is what is sent outside.
	Webhooks func() Webhooks
	// Sizes of the files of this server.
	Sizes func() Sizes
	// Degraded names what is missing but not vital.
	Degraded func() []string
	// Alerts says of each alert that there is whether it is raised.
	Alerts func() map[string]bool
	// Backup is when the newest good backup was made, zero = never.
	Backup func() time.Time
}

// Relay is the state of the copy on the bus.
type Relay struct {
	Working                     bool
	Position, Lag               int64
	Resyncs, Rebuilds, Restarts int64
	Recovered                   int // files with events that the log does not hold
}

// ReadModel is the state of the rows that queries read.
type ReadModel struct {
	Working bool
	Parked  int // events
	Retries int64
}

// Sockets counts WebSocket connections.
type Sockets struct {
	Sessions, Subscriptions int
	Notices, Dropped        int64
}

// Webhooks counts deliveries.
type Webhooks struct {
	Active, Failing                        int
	Delivered, Failed, GaveUp, SwitchedOff int64
}

// Sizes are in bytes. A negative one is not known.
type Sizes struct {
	Database, WAL, JetStream, DiskFree, DiskTotal int64
}

// register adds the metrics of the sources that there are.
func (s Sources) register(to *prometheus.Registry) error {
	return errors.Join(
		add(to, s.Head,
			gauge("kanban_log_head_position", "Last position of the log.", func(at int64) float64 { return float64(at) })),
		add(to, s.Waiting,
			gauge("kanban_commands_waiting", "Commands that wait for their turn at the sequencer.", func(n int) float64 { return float64(n) })),
		add(to, s.Relay,
			gauge("kanban_relay_up", "1 while the log is copied to the bus, 0 while that fails or is being repaired.", func(r Relay) float64 { return truth(r.Working) }),
			gauge("kanban_relay_position", "Last position that the stream on the bus is known to hold.", func(r Relay) float64 { return float64(r.Position) }),
			gauge("kanban_relay_lag_events", "Events in the log that the stream on the bus does not hold yet.", func(r Relay) float64 { return float64(r.Lag) }),
			counter("kanban_relay_resyncs_total", "How often the stream was compared with the log again after an error.", func(r Relay) float64 { return float64(r.Resyncs) }),
			counter("kanban_relay_rebuilds_total", "How often the stream was made anew from the log.", func(r Relay) float64 { return float64(r.Rebuilds) }),
			counter("kanban_bus_restarts_total", "How often the embedded bus was restarted because it did not answer.", func(r Relay) float64 { return float64(r.Restarts) }),
			gauge("kanban_recovered_files", "Files in DATA_DIR/recovered: acknowledged events that the log does not hold.", func(r Relay) float64 { return float64(r.Recovered) })),
		add(to, s.followers(),
			labelled("kanban_projection_position", "Last position that a follower of the log has dealt with.", "projection", func(f followers) map[string]float64 { return f.at }),
			labelled("kanban_projection_lag_events", "Events in the log that a follower of it has not dealt with yet.", "projection", func(f followers) map[string]float64 { return f.lag })),
		add(to, s.ReadModel,
			gauge("kanban_read_model_up", "1 while the read model follows the log, 0 while it does not get on.", func(r ReadModel) float64 { return truth(r.Working) }),
			gauge("kanban_parked_events", "Events that could not be applied to the read model and wait there.", func(r ReadModel) float64 { return float64(r.Parked) }),
			counter("kanban_projection_retries_total", "Transactions of the read model that were repeated after an error.", func(r ReadModel) float64 { return float64(r.Retries) })),
		add(to, s.Sockets,
			gauge("kanban_websocket_sessions", "WebSocket connections that are open.", func(w Sockets) float64 { return float64(w.Sessions) }),
			gauge("kanban_websocket_subscriptions", "Boards that they follow, each counted once per connection.", func(w Sockets) float64 { return float64(w.Subscriptions) }),
			counter("kanban_websocket_notices_total", "Events given to WebSocket connections.", func(w Sockets) float64 { return float64(w.Notices) }),
			counter("kanban_websocket_dropped_total", "WebSocket connections that were closed because the client was too slow.", func(w Sockets) float64 { return float64(w.Dropped) })),
		add(to, s.Webhooks,
			gauge("kanban_webhooks_active", "Webhooks that are on.", func(w Webhooks) float64 { return float64(w.Active) }),
			gauge("kanban_webhooks_failing", "Webhooks that are on and whose last attempt failed.", func(w Webhooks) float64 { return float64(w.Failing) }),
			counter("kanban_webhook_deliveries_total", "Events that a webhook's receiver has taken.", func(w Webhooks) float64 { return float64(w.Delivered) }),
			counter("kanban_webhook_failed_attempts_total", "Attempts to deliver an event that failed.", func(w Webhooks) float64 { return float64(w.Failed) }),
			counter("kanban_webhook_dead_letters_total", "Events that were given up after the last attempt.", func(w Webhooks) float64 { return float64(w.GaveUp) }),
			counter("kanban_webhooks_switched_off_total", "Webhooks that the server switched off because all their deliveries failed.", func(w Webhooks) float64 { return float64(w.SwitchedOff) })),
		add(to, s.Sizes,
			size("kanban_database_size_bytes", "Size of the database file, without its WAL.", func(z Sizes) int64 { return z.Database }),
			size("kanban_wal_size_bytes", "Size of the database's write-ahead log.", func(z Sizes) int64 { return z.WAL }),
			size("kanban_jetstream_size_bytes", "Size of the folder of the embedded bus.", func(z Sizes) int64 { return z.JetStream }),
			size("kanban_disk_free_bytes", "Free space on the disk with the data directory, as far as this process may use it.", func(z Sizes) int64 { return z.DiskFree }),
			size("kanban_disk_size_bytes", "Size of the disk with the data directory.", func(z Sizes) int64 { return z.DiskTotal })),
		add(to, s.Degraded,
			labelled("kanban_degraded", "1 for each part that is missing but not vital, as /health names it.", "part", parts)),
		add(to, s.Alerts,
			labelled("kanban_alert_raised", "Of each alert of the server itself, 1 while it is raised.", "alert", raised)),
		add(to, s.Backup,
			maybe("kanban_backup_last_success_timestamp_seconds", "When the newest good backup was made, in seconds since 1970; absent = never.",
				func(at time.Time) (float64, bool) { return float64(at.Unix()), !at.IsZero() }),
			maybe("kanban_backup_age_seconds", "Age of the newest good backup; absent = there is none.",
				func(at time.Time) (float64, bool) { return time.Since(at).Seconds(), !at.IsZero() })),
	)
}

type followers struct{ at, lag map[string]float64 }

// followers asks for the positions before the head, which only grows.
func (s Sources) followers() func() followers {
	if s.Followers == nil || s.Head == nil {
		return nil
	}
	return func() followers {
		f := followers{at: map[string]float64{}, lag: map[string]float64{}}
		at := s.Followers()
		head := s.Head()
		for name, position := range at {
			f.at[name], f.lag[name] = float64(position), float64(max(0, head-position))
		}
		return f
	}
}

func parts(missing []string) map[string]float64 {
	found := make(map[string]float64, len(missing))
	for _, part := range missing {
		found[part] = 1
	}
	return found
}

func raised(alerts map[string]bool) map[string]float64 {
	found := make(map[string]float64, len(alerts))
	for name, on := range alerts {
		found[name] = truth(on)
	}
	return found
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
