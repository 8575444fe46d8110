package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/robfig/cron/v3"

	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/bus"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	kanbanhttp "github.com/agent-kanban/agent-kanban/http"
	"github.com/agent-kanban/agent-kanban/http/webhook"
	"github.com/agent-kanban/agent-kanban/ops/monitor"
)

// newMonitor prepares what looks at the server; startMonitor begins to, once
// there are sockets to tell.
func (s *server) newMonitor(context.Context) (err error) {
	if s.cfg.AlertWebhook != "" {
		allow, err := webhook.ParseAllow(s.cfg.WebhookAllow)
		if err != nil {
			return err
		}
		s.notifier, err = webhook.NewNotifier(webhook.NotifierConfig{
			URL: auth.SecretOf(s.cfg.AlertWebhook), Secret: auth.SecretOf(s.cfg.AlertSecret), Allow: allow,
			UserAgent: "Agent-Kanban-Alert/" + release(), Logger: s.logs.Log,
		})
		if err != nil {
			return fmt.Errorf("ALERT_WEBHOOK: %w", err)
		}
	}
	checks, err := s.checks()
	if err != nil {
		return err
	}
	s.monitor, err = monitor.New(monitor.Config{
		Every: time.Duration(s.cfg.MonitorSeconds) * time.Second, Checks: checks, Changed: s.alert, Logger: s.logs.Log,
	})
	return err
}

func (s *server) startMonitor(context.Context) error {
	if s.notifier != nil {
		s.notifier.Start()
		s.onClose(func(context.Context) error { s.notifier.Stop(); return nil })
	}
	s.onClose(s.monitor.Stop)
	s.monitor.Start()
	return nil
}

// alert tells who cannot be expected to look: the sockets of admins, and the
// address of ALERT_WEBHOOK. The monitor itself has told the log.
func (s *server) alert(a monitor.Alert) {
	view := kanbanhttp.Alert(a)
	s.http.Alert(view)
	if s.notifier == nil {
		return
	}
	kind := "alert"
	if !a.Cleared.IsZero() {
		kind = "alert_cleared"
	}
	body, err := json.Marshal(map[string]any{"type": kind, "timestamp": time.Now().UTC(), "data": view})
	if err != nil {
		s.logs.Log.Error("encode alert", "error", err)
		return
	}
	s.notifier.Send(uuid.Must(uuid.NewV7()).String(), body)
}

// alerts returns what is wrong now, and what was.
func (s *server) alerts() (active, past []kanbanhttp.Alert) {
	view := func(list []monitor.Alert) []kanbanhttp.Alert {
		views := make([]kanbanhttp.Alert, len(list))
		for i, a := range list {
			views[i] = kanbanhttp.Alert(a)
		}
		return views
	}
	return view(s.monitor.Alerts()), view(s.monitor.Past())
}

// backupDir is where backups are, whether there are any or not.
func (s *server) backupDir() string {
	if s.cfg.BackupDir != "" {
		return s.cfg.BackupDir
	}
	return filepath.Join(s.cfg.DataDir, "backups")
}

// walLimit is a length that the WAL reaches only where something keeps it from
// being copied back, in bytes: SQLite cuts it to half of this after each round.
const walLimit = 128 << 20

// checks says what is looked at. Their names are those of the alerts.
func (s *server) checks() ([]monitor.Check, error) {
	checks := []monitor.Check{
		monitor.Clock(nil, nil),
		monitor.FileSize("wal", s.db.Path()+"-wal", walLimit,
			"end whatever reads the database for long (a shell of sqlite3, a copy under way); it is copied back with the next commits"),
		monitor.Behind("relay_lag", "the bus", "see the alert bus and the server's log; what outside consumers get is late, nothing else is", s.end,
			func(context.Context) (int64, error) { return s.relay.Status().Position, nil }),
		monitor.Behind("projection_lag", "the read model", "see the server's log; commands are safe, queries show an older state. A slow disk is the usual reason", s.end,
			func(context.Context) (int64, error) { return s.watermark.Position(), nil }),
		{Name: "log", Severity: monitor.Critical, Run: s.checkLog},
		{Name: "writes", Severity: monitor.Critical, Run: s.checkWrites},
		{Name: "database_check", Severity: monitor.Critical, Every: 24 * time.Hour, First: 10 * time.Minute, Timeout: time.Hour, Run: s.checkFile},
		{Name: "bus", After: 2, Run: s.checkBus},
		{Name: "bus_folder", Timeout: time.Minute, Run: s.checkBusFolder},
		{Name: "recovered_events", Run: s.checkRecovered},
		{Name: "read_model", After: 2, Run: s.checkReadModel},
		{Name: "webhooks", After: 2, Run: s.checkWebhooks},
	}
	checks = append(checks, monitor.Disks(
		"disk_data", filepath.Dir(s.db.Path()), "disk_bus", filepath.Join(s.cfg.DataDir, "jetstream"), "disk_backups", s.backupDir(),
	)...)
	if s.cfg.MemoryMB > 0 {
		checks = append(checks, monitor.Memory(int64(s.cfg.MemoryMB)<<20))
	}
	if s.redis != nil {
		checks = append(checks, monitor.Check{Name: "redis", After: 2, Run: func(ctx context.Context) (monitor.Finding, error) {
			if s.redis(ctx) == nil {
				return monitor.Finding{}, nil
			}
			return monitor.Finding{
				Message: "Redis does not answer: limits and cached boards are each process's own", Hint: "start it again, or correct REDIS_URL",
			}, nil
		}})
	}
	if s.lastBackup != nil && s.cfg.BackupSchedule != "" && s.cfg.BackupSchedule != never {
		schedule, err := cron.ParseStandard(s.cfg.BackupSchedule)
		if err != nil {
			return nil, fmt.Errorf("BACKUP_SCHEDULE: %w", err)
		}
		next := schedule.Next(time.Now().UTC())
		const hint = "look in the server's log why, or make one: kanban backup"
		check := monitor.Age("backup", "backup", hint, schedule.Next(next).Sub(next)+2*time.Hour, s.lastBackup)
		aged := check.Run
		check.Run = func(ctx context.Context) (monitor.Finding, error) {
			if failed := s.backups.Status().LastError; failed != "" {
				return monitor.Finding{Message: "the last backup failed: " + failed, Hint: hint}, nil
			}
			return aged(ctx)
		}
		checks = append(checks, check)
	}
	if s.shipper != nil {
		checks = append(checks, monitor.Check{Name: "backup_log", After: 2, Run: func(context.Context) (monitor.Finding, error) {
			if failed := s.shipper.Status().LastError; failed != "" {
				return monitor.Finding{Message: "the log is not copied: " + failed, Hint: "see to what BACKUP_SHIP_TO names; it goes on by itself where it was"}, nil
			}
			return monitor.Finding{}, nil
		}})
	}
	return checks, nil
}

func (s *server) end(ctx context.Context) (int64, error) {
	head, err := s.db.Head(ctx)
	return head.Position, err
}

// checkLog verifies the end of the chain, which is where a disk that lies does
// its damage. Damage makes the store refuse appends.
func (s *server) checkLog(ctx context.Context) (monitor.Finding, error) {
	err := s.db.CheckTail(ctx)
	var tail *sqlstore.TailError
	if errors.As(err, &tail) {
		return monitor.Finding{Message: tail.Error(), Hint: "stop the server, keep a copy of the data directory, and restore a backup"}, nil
	}
	return monitor.Finding{}, err
}

// checkWrites asks whether commands can be carried out; the end of the chain is
// looked at above.
func (s *server) checkWrites(ctx context.Context) (monitor.Finding, error) {
	err := s.db.Writable(ctx)
	var tail *sqlstore.TailError
	if err == nil || errors.As(err, &tail) {
		return monitor.Finding{}, nil
	}
	hint := "commands are refused until this is over; it is noticed within seconds, without a restart"
	if errors.Is(err, sqlstore.ErrMoved) {
		hint = "what was written before is in the old file alone: put it back before anything else"
	}
	return monitor.Finding{Message: told(err), Hint: hint}, nil
}

func (s *server) checkFile(ctx context.Context) (monitor.Finding, error) {
	faults, err := s.db.QuickCheck(ctx)
	if err != nil || len(faults) == 0 {
		return monitor.Finding{}, err
	}
	return monitor.Finding{
		Message: fmt.Sprintf("the database file is damaged: %s (first: %s)", count(len(faults), "fault"), faults[0]),
		Hint:    "stop the server, keep a copy of the data directory, and restore a backup",
	}, nil
}

func (s *server) checkBus(context.Context) (monitor.Finding, error) {
	status := s.relay.Status()
	if status.State != bus.StateFailing {
		return monitor.Finding{}, nil
	}
	return monitor.Finding{
		Message: "the bus does not take events: " + status.LastError,
		Hint:    "look for space on the disk of jetstream/; the server starts it again by itself, and nothing of the log is lost",
	}, nil
}

// checkBusFolder finds that the stream's files were taken away under the NATS that
// has them open: it would not notice, and go on with files that nobody can find
// after a restart. A fresh one starts with an empty folder, and the relay fills it
// again from the log.
func (s *server) checkBusFolder(ctx context.Context) (monitor.Finding, error) {
	_, err := os.Stat(filepath.Join(s.cfg.DataDir, "jetstream", "$G", "streams", bus.StreamName))
	// While the relay makes the stream anew its folder is away for a moment.
	if !errors.Is(err, fs.ErrNotExist) || s.relay.Status().State != bus.StateRelaying {
		return monitor.Finding{}, nil
	}
	if err := s.nats.Restart(ctx); err != nil {
		return monitor.Finding{}, fmt.Errorf("the folder of the bus is gone, and it cannot be started anew: %w", err)
	}
	return monitor.Finding{
		Message: "the folder of the bus was taken away while the server ran; the bus was started anew and is filled from the log",
		Hint:    "nothing is lost; find out who deletes files below jetstream/ while the server runs",
	}, nil
}

func (s *server) checkRecovered(context.Context) (monitor.Finding, error) {
	files := s.relay.Status().Recovered
	if len(files) == 0 {
		return monitor.Finding{}, nil
	}
	return monitor.Finding{
		Message: fmt.Sprintf("the bus held events that the log does not: they were saved in %s in recovered/", count(len(files), "file")),
		Hint:    "see to it that the right database is in use; then kanban recover, with the server stopped, appends what fits",
		// Somebody was told that these had happened.
		Severity: monitor.Critical,
	}, nil
}

func (s *server) checkReadModel(context.Context) (monitor.Finding, error) {
	status := s.runner.Status()
	parked := 0
	for _, n := range status.Parked {
		parked += n
	}
	switch {
	case status.Stopped:
		return monitor.Finding{
			Message: "the read model has stopped: " + status.Error, Hint: "restart the server; queries show an older state until then",
			Severity: monitor.Critical,
		}, nil
	case parked > 0:
		return monitor.Finding{
			Message: fmt.Sprintf("%s could not be applied to the read model and are parked", count(parked, "event")),
			Hint:    "the server's log says why; they are tried again at the next start, and kanban rebuild makes all rows anew",
		}, nil
	case status.Error != "":
		return monitor.Finding{Message: "the read model does not get on: " + status.Error, Hint: "see the server's log; it is tried again by itself"}, nil
	}
	return monitor.Finding{}, nil
}

func (s *server) checkWebhooks(ctx context.Context) (monitor.Finding, error) {
	off, err := s.webhooks.Off(ctx)
	failing := s.webhooks.Status().Failing
	if err != nil || off+failing == 0 {
		return monitor.Finding{}, err
	}
	return monitor.Finding{
		Message: fmt.Sprintf("%s cannot be delivered to, %d of them switched off for it", count(off+failing, "webhook"), off),
		Hint:    "kanban webhook list shows the last error; mend the receiver, switch it on, then kanban webhook replay",
	}, nil
}

// told is what err says to users, never its inside.
func told(err error) string {
	var e *events.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return "nothing can be written; the server's log says why"
}

// down says why no command is carried out.
func (s *server) down(ctx context.Context) []string {
	if err := s.db.Writable(ctx); err != nil {
		return []string{told(err)}
	}
	return nil
}

// degraded names what is missing but not vital: what can be seen at once, and
// what the monitor has found.
func (s *server) degraded() []string {
	missing := []string{}
	if s.db.TailError() != nil {
		missing = append(missing, "log")
	}
	relay := s.relay.Status()
	if len(relay.Recovered) > 0 {
		missing = append(missing, "recovered_events")
	}
	if relay.State == bus.StateFailing {
		missing = append(missing, "bus")
	}
	// Error is that of the last attempt: it does not get on.
	if status := s.runner.Status(); status.Error != "" || status.Stopped || len(status.Parked) > 0 {
		missing = append(missing, "read_model")
	}
	if s.backups.Status().Overdue(time.Now()) {
		missing = append(missing, "backup")
	}
	if s.shipper != nil && s.shipper.Status().LastError != "" {
		missing = append(missing, "backup_log")
	}
	if s.shared.Status().Degraded() {
		missing = append(missing, "redis")
	}
	for _, a := range s.monitor.Alerts() {
		if !slices.Contains(missing, a.Name) {
			missing = append(missing, a.Name)
		}
	}
	return missing
}
