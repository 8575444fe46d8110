package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/ops/machine"
	"github.com/agent-kanban/agent-kanban/ops/maintain"
)

// largestOnline is the size up to which the whole file may be rewritten beside a
// running server: its writers wait five seconds at most before they refuse.
const largestOnline = 256 << 20

func (a *app) maintainCommand() *cobra.Command {
	var full bool
	cmd := &cobra.Command{
		Use:   "maintain",
		Short: "Look after the database: statistics, unused space, integrity, WAL",
		Long: `Look after the database file: delete refresh tokens that have expired, refresh
the statistics of the query planner (optimize, analyze), give unused pages back,
check the integrity of every page, empty the WAL.

Works beside a running server, which also does it by itself (MAINTENANCE_SCHEDULE);
commands wait for one small step at a time. --full rewrites the whole file: that
gives back the most, needs twice its size of free space, and makes commands wait
for about a second per 100 MB, so beside a server it is refused above 256 MiB.

Exits with 1 where a step failed, 3 where the integrity check found damage.`,
		Example: "  kanban maintain\n  kanban maintain --full --data-dir /var/lib/kanban\n  kanban maintain --json",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(a.dataDir)
			if err != nil {
				return err
			}
			return a.maintain(cmd.Context(), cfg, full)
		},
	}
	cmd.Flags().BoolVar(&full, "full", false, "rewrite the whole file (VACUUM)")
	return cmd
}

func (a *app) maintain(ctx context.Context, cfg config, full bool) error {
	db, beside, done, err := openBeside(ctx, cfg, a.toolLog())
	if err != nil {
		return err
	}
	defer done() //nolint:errcheck // the process ends
	if size, err := machine.FileSize(db.Path()); full && beside != 0 && (err != nil || size > largestOnline) {
		return errors.Join(err, &hinted{
			fmt.Errorf("the database has %d MiB, and a server runs (pid %d): its commands would be refused while the file is rewritten", size>>20, beside),
			"kanban maintain without --full, or stop the server first",
		})
	}
	opts := maintain.Options{Full: full}
	if _, onTerminal := terminal(a.stderr); onTerminal {
		opts.Starting = func(step string) { fmt.Fprintf(a.stderr, "%s …\n", step) }
	}
	report, err := maintain.Run(ctx, db, opts)
	if a.json {
		err = errors.Join(err, a.printJSON(report))
	} else {
		err = errors.Join(err, a.printMaintenance(report))
	}
	if errors.Is(err, maintain.ErrDamaged) {
		return &hinted{&foundError{err.Error()}, "stop the server, then kanban recover"}
	}
	return err
}

func (a *app) printMaintenance(r maintain.Report) error {
	var b strings.Builder
	for _, s := range r.Steps {
		if s.Error != "" {
			fmt.Fprintf(&b, "FAIL %-15s %s\n", s.Name, clean(s.Error))
			continue
		}
		fmt.Fprintf(&b, "ok   %-15s %s (%s)\n", s.Name, clean(s.Detail), s.Took.Round(time.Millisecond))
	}
	fmt.Fprintf(&b, "     database: %d bytes, %d before; WAL: %d bytes, %d before\n", r.After, r.Before, r.WALAfter, r.WALBefore)
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

// openBeside opens the log for writing, under the lock where no server runs and
// beside the server where one does; holder is its pid then, -1 where that is not
// known. Only what a server tolerates from outside may be written then, and only
// with the schema that it has.
func openBeside(ctx context.Context, cfg config, log *slog.Logger) (db *sqlstore.DB, holder int, done func() error, err error) {
	o, err := openToWrite(ctx, cfg, false, log)
	if err == nil {
		return o.db, 0, o.close, nil
	}
	var locked *sqlstore.LockedError
	if !errors.As(err, &locked) {
		return nil, 0, nil, err
	}
	// Reading first: to open for writing would migrate an older schema, under the
	// feet of the server.
	reader, err := openToRead(ctx, cfg, log)
	if err != nil {
		return nil, 0, nil, err
	}
	if err := reader.Close(); err != nil {
		return nil, 0, nil, err
	}
	path, err := cfg.databasePath()
	if err != nil {
		return nil, 0, nil, err
	}
	db, err = sqlstore.Open(ctx, sqlstore.Options{Path: path, Synchronous: cfg.Synchronous, Logger: log})
	if err != nil {
		return nil, 0, nil, err
	}
	if holder = locked.PID; holder == 0 {
		holder = -1
	}
	return db, holder, db.Close, nil
}

// startMaintenance looks after the database by the clock.
func (s *server) startMaintenance(ctx context.Context) (err error) {
	if s.cfg.Maintenance == "" || s.cfg.Maintenance == never {
		return nil
	}
	s.maintenance, err = maintain.NewSchedule(maintain.Config{DB: s.db, Cron: s.cfg.Maintenance, Logger: s.logs.Log})
	if err != nil {
		return err
	}
	if err := s.maintenance.Start(ctx); err != nil {
		return err
	}
	s.onClose(func(context.Context) error { return s.maintenance.Stop() })
	return nil
}
