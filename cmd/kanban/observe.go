package main

import (
	"context"
	"path/filepath"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events/bus"
	kanbanhttp "github.com/agent-kanban/agent-kanban/http"
	"github.com/agent-kanban/agent-kanban/ops/machine"
	"github.com/agent-kanban/agent-kanban/ops/metrics"
	"github.com/agent-kanban/agent-kanban/ops/tracing"
)

// startObserving makes the registry of metrics, before anything that is counted,
// and the traces. The sources are asked once the server answers, when everything
// is there.
func (s *server) startObserving(ctx context.Context) (err error) {
	s.tracer, err = tracing.Start(ctx, tracing.Config{Endpoint: s.cfg.OTLPEndpoint, Version: release(), Logger: s.logs.Log})
	if err != nil {
		return err
	}
	s.onClose(func(context.Context) error { s.tracer.Stop(); return nil })
	s.metrics, err = metrics.New(metrics.Config{Version: release(), Logger: s.logs.Log}, metrics.Sources{
		Head: func() int64 { return s.tail.Head() }, Waiting: func() int { return s.sequencer.Waiting() },
		Relay: s.relayMetrics, Followers: s.followers, ReadModel: s.readModelMetrics,
		Sockets: s.socketMetrics, Webhooks: s.webhookMetrics, Sizes: s.sizes, Degraded: s.degraded,
		Alerts: s.raised, Backup: func() time.Time { return s.backups.Status().LastSuccess },
	})
	return err
}

// raised says of each alert that there is whether it is raised.
func (s *server) raised() map[string]bool {
	raised := map[string]bool{}
	for _, name := range s.monitor.Names() {
		raised[name] = false
	}
	for _, a := range s.monitor.Alerts() {
		raised[a.Name] = true
	}
	return raised
}

func (s *server) observeCommands() commands.Observer {
	start, committed := s.tracer.Commands()
	return commands.Observer{Start: start, Committed: committed, Done: s.metrics.Command}
}

func (s *server) observeHTTP() kanbanhttp.Observer {
	return kanbanhttp.Observer{Begin: s.tracer.HTTP(), Limited: s.metrics.RateLimited, Done: func(r *kanbanhttp.Request) {
		s.metrics.Request(r.Route, r.Method, r.Status, r.Took, r.Timed)
		s.logs.Request(r)
	}}
}

func (s *server) relayMetrics() metrics.Relay {
	r := s.relay.Status()
	return metrics.Relay{
		Working: r.State == bus.StateRelaying, Position: r.Position, Lag: r.Lag,
		Resyncs: r.Resyncs, Rebuilds: r.Rebuilds, Restarts: r.Restarts, Recovered: len(r.Recovered),
	}
}

// followers are those who read the log to its end, and how far each is.
func (s *server) followers() map[string]int64 {
	return map[string]int64{
		"read_model": s.watermark.Position(), "live_feed": s.http.LiveStats().Position, "webhooks": s.webhooks.Status().Position,
	}
}

func (s *server) readModelMetrics() metrics.ReadModel {
	r := s.runner.Status()
	m := metrics.ReadModel{Working: !r.Stopped && r.Error == "", Retries: r.Retries}
	for _, n := range r.Parked {
		m.Parked += n
	}
	return m
}

func (s *server) socketMetrics() metrics.Sockets {
	st := s.http.LiveStats()
	return metrics.Sockets{Sessions: st.ActiveConnections, Subscriptions: st.Subscriptions, Notices: st.Notices, Dropped: st.SlowClosed}
}

func (s *server) webhookMetrics() metrics.Webhooks {
	w := s.webhooks.Status()
	return metrics.Webhooks{
		Active: w.Active, Failing: w.Failing, Delivered: w.Delivered, Failed: w.Failed, GaveUp: w.GaveUp, SwitchedOff: w.SwitchedOff,
	}
}

// sizes of what this server keeps; -1 where one cannot be had.
func (s *server) sizes() metrics.Sizes {
	known := func(n int64, err error) int64 {
		if err != nil {
			s.logs.Log.Debug("a size cannot be had", "error", err)
			return -1
		}
		return n
	}
	z := metrics.Sizes{
		Database:  known(machine.FileSize(s.db.Path())),
		WAL:       known(machine.FileSize(s.db.Path() + "-wal")),
		JetStream: known(machine.FolderSize(filepath.Join(s.cfg.DataDir, "jetstream"))),
		DiskFree:  -1, DiskTotal: -1,
	}
	if space, err := machine.Disk(s.cfg.DataDir); err == nil {
		z.DiskFree, z.DiskTotal = space.Free, space.Total
	}
	return z
}
