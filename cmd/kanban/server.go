package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/embedded"
	"github.com/agent-kanban/agent-kanban/events/bus"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	kanbanhttp "github.com/agent-kanban/agent-kanban/http"
	"github.com/agent-kanban/agent-kanban/http/mcp"
	"github.com/agent-kanban/agent-kanban/http/webhook"
	"github.com/agent-kanban/agent-kanban/ops/backup"
	"github.com/agent-kanban/agent-kanban/ops/logs"
	"github.com/agent-kanban/agent-kanban/ops/maintain"
	"github.com/agent-kanban/agent-kanban/ops/metrics"
	"github.com/agent-kanban/agent-kanban/ops/monitor"
	"github.com/agent-kanban/agent-kanban/ops/shared"
	"github.com/agent-kanban/agent-kanban/ops/tracing"
	"github.com/agent-kanban/agent-kanban/projections"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// server is everything that serve runs. Its parts start in the order of the
// fields and stop in the opposite one.
type server struct {
	cfg    config
	create bool // a new log, whatever else lies in the data directory
	// natsTimeout is how long the embedded NATS may take to start, 0 = its default.
	natsTimeout time.Duration
	// busTimeout is how long the bus may keep silent before it counts as failing,
	// and may be left so before it is restarted; 0 = the defaults of the relay.
	busTimeout time.Duration
	// slow stands between the read model and its rows; nil = nothing does. Only
	// tests set it.
	slow func(projections.UpdateFunc) projections.UpdateFunc
	// minLease is the shortest lease, 0 = the usual one. Only a demo sets it: its
	// leases are short, and none is spared for having begun before the start.
	minLease time.Duration
	logs     *logs.Logs
	metrics  *metrics.Metrics
	tracer   *tracing.Tracer // nil = off

	lock      *sqlstore.FileLock
	db        *sqlstore.DB
	shared    *shared.Shared
	nats      *embedded.Server
	tail      *bus.Tail
	relay     *bus.Relay
	sequencer *commands.Sequencer
	watermark *projections.Watermark
	runner    *projections.Runner
	queries   *readmodel.Queries
	accounts  *auth.Service
	webhooks  *webhook.Dispatcher
	notifier  *webhook.Notifier // nil without ALERT_WEBHOOK
	monitor   *monitor.Monitor
	shipper   *backup.Shipper // nil = BACKUP_SHIP_TO is not set
	backups   *backup.Scheduler
	// maintenance is nil where it is off.
	maintenance *maintain.Schedule
	http        *kanbanhttp.Server

	// lastBackup tells when the newest backup was made, the zero time where there
	// is none; redis asks Redis for an answer. nil = there are none to look at.
	lastBackup func(ctx context.Context) (time.Time, error)
	redis      func(ctx context.Context) error

	// setup is the address of the first registration, "" where that is over.
	setup string
	// stops undo what start did, last first.
	stops []func(context.Context) error
}

// newServer starts nothing. create allows a new log where traces of an older
// one are.
func newServer(cfg config, create bool, stderr io.Writer) *server {
	return &server{cfg: cfg, create: create, logs: logs.Open(cfg.DataDir, cfg.LogLevel, stderr, isTerminal(stderr))}
}

// URL is where the server answers.
func (s *server) URL() string { return s.http.URL() }

// start brings everything up, and down again if something fails. ctx ends the
// start, not what was started.
func (s *server) start(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		s.startObserving, s.openLog, s.startShipping, s.startShared, s.startBus, s.startSequencer, s.startProjections, s.finishRedaction,
		s.startAccounts, s.startWebhooks, s.startBackups, s.startMaintenance, s.newMonitor, s.startHTTP, s.startMonitor,
	} {
		if err := step(ctx); err != nil {
			return errors.Join(err, s.close(context.WithoutCancel(ctx)))
		}
	}
	return nil
}

// close stops in the order in which nothing acknowledged gets lost: no more
// requests, the commands under way, what follows the log, the bus, the file. It
// is safe twice, and after a start that failed.
func (s *server) close(ctx context.Context) error {
	var errs []error
	for i := len(s.stops) - 1; i >= 0; i-- {
		errs = append(errs, s.stops[i](ctx))
	}
	s.stops = nil
	return errors.Join(append(errs, s.logs.Close())...)
}

func (s *server) onClose(stop func(context.Context) error) { s.stops = append(s.stops, stop) }

// openLog takes the data directory and opens the database in it.
func (s *server) openLog(ctx context.Context) (err error) {
	path, err := s.cfg.databasePath()
	if err != nil {
		return err
	}
	if s.lock, err = lockDataDir(s.cfg.DataDir, true); err != nil {
		return err
	}
	s.onClose(func(context.Context) error { return s.lock.Release() })
	if err := s.logs.Link(); err != nil {
		s.logs.Log.Warn("the data directory has no links to the logs", "error", err)
	}
	fresh, err := s.fresh(path)
	if err != nil {
		return err
	}
	s.db, err = sqlstore.Open(ctx, sqlstore.Options{
		Path: path, Create: fresh, Synchronous: s.cfg.Synchronous, Logger: s.logs.Log,
		Slow: time.Duration(s.cfg.SlowQueryMS) * time.Millisecond, OnSlow: s.logs.SlowQuery,
		Appended: s.metrics.Append, BeforeMigrate: func(ctx context.Context) error { return s.beforeUpgrade(ctx, path) },
	})
	if err != nil {
		return elsewhere(err)
	}
	s.onClose(func(context.Context) error { return s.db.Close() })
	if err := s.db.TailError(); err != nil {
		// Reading goes on, so that what is there can be looked at and copied.
		s.logs.Log.Error("the log is damaged; commands are refused", "error", err)
	}
	return nil
}

// fresh reports whether a new log is to be made. Where a server has run before
// a missing database is no first start but a loss, and must not look like one.
func (s *server) fresh(path string) (bool, error) {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if s.create {
		return true, nil
	}
	var traces []string
	for _, name := range []string{filepath.Join(s.cfg.DataDir, "jetstream"), filepath.Join(s.cfg.DataDir, auth.KeyFile), path + "-wal"} {
		if _, err := os.Stat(name); err == nil {
			traces = append(traces, name)
		}
	}
	if len(traces) == 0 {
		return true, nil
	}
	return false, &hinted{
		fmt.Errorf("%s is missing, but a server has run here before (%s is there): nothing was started", path, strings.Join(traces, ", ")),
		"restore the database, correct DATA_DIR, or kanban serve --new to begin an empty log",
	}
}

// startShared looks for Redis where one is configured, and goes on without.
func (s *server) startShared(ctx context.Context) (err error) {
	s.shared, err = shared.New(shared.Config{URL: s.cfg.RedisURL, Prefix: "kanban:" + s.db.LogID() + ":", Logger: s.logs.Log})
	if err != nil {
		return err
	}
	s.onClose(func(context.Context) error { return s.shared.Stop() })
	if s.cfg.RedisURL != "" && s.redis == nil {
		s.redis = func(context.Context) error { return s.shared.Status().Err() }
	}
	return s.shared.Start(ctx)
}

// startSequencer begins to take commands; startProjections sees to its end.
func (s *server) startSequencer(ctx context.Context) (err error) {
	cfg := commands.Config{Store: s.db, Publish: s.tail.Publish, Logger: s.logs.Log, Observer: s.observeCommands()}
	if s.minLease > 0 {
		cfg.MinLease, cfg.LeaseGrace = s.minLease, -1
	}
	s.sequencer, err = commands.New(cfg)
	if err != nil {
		return err
	}
	if err := s.sequencer.Warm(ctx); err != nil {
		// Whatever it is, the first command meets it again and tells its caller.
		s.logs.Log.Error("warm up", "error", err)
	}
	s.sequencer.Start()
	s.onClose(func(context.Context) error { s.sequencer.Stop(); return nil }) // after a start that fails; see startProjections
	return ctx.Err()
}

// catchUp bounds how long the start waits for the read model: after an import
// it has the whole log to go through, and may as well do so while serving.
const catchUp = 15 * time.Second

func (s *server) startProjections(ctx context.Context) (err error) {
	s.watermark = projections.NewWatermark()
	update := projections.UpdateFunc(s.db.UpdateRelaxed)
	if s.slow != nil {
		update = s.slow(update)
	}
	s.runner, err = projections.NewRunner(projections.Config{
		DB: s.db.Writer(), Update: update, Log: s.db, Watermark: s.watermark, Logger: s.logs.Log,
		Subscribe: func(after int64) projections.Subscription { return s.tail.Subscribe(after) }, Applied: s.tracer.Applied(),
	})
	if err != nil {
		return err
	}
	var stale *projections.StaleError
	if err := projections.NeedsRebuild(ctx, s.db.Writer(), s.db); errors.As(err, &stale) {
		if err := s.rebuild(ctx, stale); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	if err := s.runner.Start(ctx); err != nil {
		return err
	}
	s.onClose(func(context.Context) error { return s.runner.Stop() })
	// Commands end first, then what they did goes to the bus, then those who read
	// it stop.
	s.onClose(func(context.Context) error { s.relay.Stop(); return nil })
	s.onClose(func(context.Context) error { s.sequencer.Stop(); return nil })
	// What was acknowledged before a crash must be there for the first reader.
	head, err := s.db.Head(ctx)
	if err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	if err := s.watermark.Wait(wait, head.Position); err != nil && ctx.Err() == nil {
		s.logs.Log.Warn("the read model is still catching up", "position", s.watermark.Position(), "head", head.Position)
	}
	if parked := s.runner.Status().Parked; len(parked) > 0 {
		// What parked them may be gone: a newer program, space on the disk.
		applied, left, err := s.runner.Retry(ctx)
		s.logs.Log.Warn("events that could not be applied before were tried again", "applied", applied, "left", left, "error", err)
	}
	return ctx.Err()
}

func (s *server) rebuild(ctx context.Context, stale *projections.StaleError) error {
	s.logs.Log.Info("the read model is made anew", "reason", stale.Reason, "position", stale.Position, "head", stale.Head)
	last := time.Now()
	done, err := projections.Rebuild(ctx, projections.RebuildConfig{
		DB: s.db.Writer(), Update: s.db.UpdateRelaxed, Log: s.db,
		Progress: func(p projections.Progress) {
			if time.Since(last) > 2*time.Second {
				last = time.Now()
				s.logs.Log.Info("rebuilding", "position", p.Position, "head", p.Head)
			}
		},
	})
	if err != nil {
		return err
	}
	s.logs.Log.Info("the read model was made anew", "events", done.Position)
	return nil
}

func (s *server) startAccounts(ctx context.Context) (err error) {
	if s.queries, err = readmodel.New(ctx, s.db.Reader()); err != nil {
		return err
	}
	s.onClose(func(context.Context) error { return s.queries.Close() })
	key, err := auth.LoadOrCreateKey(s.cfg.DataDir, s.cfg.SecretKey)
	if err != nil {
		return err
	}
	previous, until, err := s.cfg.previousKey(time.Now())
	if err != nil {
		return err
	}
	s.accounts, err = auth.New(auth.Config{
		Key: key, Reader: s.db.Reader(), Logger: s.logs.Log, PreviousKey: previous, PreviousUntil: until,
		AccessTTL:  time.Duration(s.cfg.AccessMinutes) * time.Minute,
		RefreshTTL: time.Duration(s.cfg.RefreshDays) * 24 * time.Hour,
		// People have no such limit: they stop by themselves.
		AgentCommands: s.cfg.agentCommands(), Shared: sharedLimits{s.shared},
	}, s.db, users{s.queries})
	if err != nil {
		return err
	}
	if err := s.accounts.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	s.onClose(func(context.Context) error { s.accounts.Stop(); return nil })
	return nil
}

func (s *server) startHTTP(ctx context.Context) (err error) {
	setup := auth.NewSetup(s.cfg.DataDir)
	tools, err := mcp.Handler(mcp.Config{Version: release(), Origins: s.cfg.CORSOrigins, Log: s.logs.Log})
	if err != nil {
		return err
	}
	requests, err := newRequestLimit(s.shared, s.cfg.RatePerMinute, s.cfg.RateBurst)
	if err != nil {
		return err
	}
	var replies kanbanhttp.SharedReplies
	if r := s.shared.Replies(); r != nil {
		replies = r
	}
	s.http, err = kanbanhttp.New(kanbanhttp.Config{
		Addr: s.cfg.address(), CORSOrigins: s.cfg.CORSOrigins, TrustedProxies: s.cfg.TrustedProxies,
		TLSCert: s.cfg.TLSCert, TLSKey: s.cfg.TLSKey, Autocert: s.cfg.TLSAutocert, CertDir: filepath.Join(s.cfg.DataDir, "certificates"),
		Version: release(), Degraded: s.degraded, Down: s.down, Details: s.details(), Alerts: s.alerts,
		RegistrationClosed: s.cfg.Registration == "closed", Log: s.logs.Log,
		Metrics: s.metrics.Handler(), MetricsToken: s.cfg.MetricsToken, Observer: s.observeHTTP(),
		Requests: requests, Shared: replies,
	}, kanbanhttp.Deps{
		Commands: s.sequencer, Queries: s.queries, Auth: s.accounts, Setup: setup, Log: s.db,
		Watermark: s.watermark, Timeline: timeline{s.db},
		Subscribe: func(after int64) kanbanhttp.Subscription { return s.tail.Subscribe(after) },
		Webhooks:  s.webhooks, MCP: tools, Clean: s.clean,
	})
	if err != nil {
		return err
	}
	any, err := s.queries.HasUsers(ctx)
	if err != nil {
		return err
	}
	var token auth.Secret
	if any {
		err = setup.Discard()
	} else {
		token, err = setup.Token()
	}
	if err != nil {
		return err
	}
	if err := s.http.Start(); err != nil {
		return &hinted{err, "another port: PORT=18001 kanban serve"}
	}
	s.onClose(s.http.Shutdown)
	if !any {
		s.setup = s.http.URL() + "/setup#token=" + token.Reveal()
	}
	return nil
}
