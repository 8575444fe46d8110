package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/agent-kanban/agent-kanban/embedded"
	"github.com/agent-kanban/agent-kanban/events/bus"
)

// startBus runs NATS in this process and copies the log into it.
func (s *server) startBus(ctx context.Context) (err error) {
	s.nats, err = embedded.New(embedded.Config{StoreDir: s.cfg.DataDir, StartTimeout: s.natsTimeout, Logger: s.logs.Log})
	if err != nil {
		return err
	}
	if err := s.startNATS(ctx); err != nil {
		return err
	}
	s.onClose(func(context.Context) error { s.nats.Stop(); return nil })
	user, password := s.nats.Credentials()
	conn, err := bus.Connect(ctx, "", s.nats, user, password)
	if err != nil {
		return fmt.Errorf("connect to the embedded nats: %w", err)
	}
	s.onClose(func(context.Context) error { conn.Close(); return nil })
	// Without a connection: one process writes to a data directory, so the stream
	// has nothing to tell that the Sequencer has not handed over already.
	if s.tail, err = bus.NewTail(bus.TailConfig{Log: s.db, Logger: s.logs.Log}); err != nil {
		return err
	}
	if err := s.tail.Start(ctx); err != nil {
		return err
	}
	s.onClose(func(context.Context) error { s.tail.Stop(); return nil })
	s.relay, err = bus.NewRelay(bus.RelayConfig{
		Log: s.db, Tail: s.tail, Conn: conn, RecoveredDir: filepath.Join(s.cfg.DataDir, "recovered"),
		Restart: s.nats.Restart, AckTimeout: s.busTimeout, RestartPause: s.busTimeout,
		Traceparent: s.tracer.Traceparent(), Logger: s.logs.Log,
	})
	if err != nil {
		return err
	}
	s.onClose(func(context.Context) error { s.relay.Stop(); return nil }) // after a start that fails; see startProjections
	return s.relay.Start(ctx)
}

// startNATS starts over with an empty folder where the old one cannot be used:
// the log does not need it. It is put aside and not deleted, for it may hold
// events that a torn database has lost.
func (s *server) startNATS(ctx context.Context) error {
	err := s.nats.Start(ctx)
	if err == nil || ctx.Err() != nil {
		return err
	}
	folder := filepath.Join(s.cfg.DataDir, "jetstream")
	aside := folder + ".damaged-" + time.Now().UTC().Format("20060102T150405.000")
	if moved := os.Rename(folder, aside); moved != nil {
		return errors.Join(err, moved)
	}
	s.logs.Log.Error("the stream's folder cannot be used; it was put aside and is made anew", "error", err, "aside", aside)
	return s.nats.Start(ctx)
}
