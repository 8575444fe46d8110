package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/ops/backup"
)

func (a *app) restoreCommand() *cobra.Command {
	var at, identity string
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup in the place of what is in the data directory",
		Long: `Put a backup in the place of what is in the data directory. The server must be
stopped. The backup is extracted beside the database, brought to the moment that
--at names, and verified; only then it takes the place of the database, all at
once: a crash leaves either the old or the new state. What was there before is
kept, in before-restore-<time>.

With --at the log ends at a position, or at the last event recorded until a time;
the read models are made anew. Where the log then lacks events that clients may
have seen, it gets a new log_id, and they begin afresh.

SECRET_KEY is not part of a backup: on another machine set the same one, or
everybody signs in again.`,
		Example: `  kanban restore backups/kanban-20260815T020000Z-4711.tar.zst
  kanban restore FILE.age --identity key.txt --data-dir /var/lib/kanban
  kanban restore FILE --at 4700
  kanban restore FILE --at 2026-08-15T01:30:00Z`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := loadConfig(a.dataDir)
			if err != nil {
				return err
			}
			moment, err := a.moment(at)
			if err != nil {
				return err
			}
			return a.restore(cmd.Context(), cfg, args[0], identity, moment)
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "where the log ends: a position, a time (2026-08-15T00:00:00Z), or how long ago (2h)")
	identityFlag(cmd, &identity)
	return cmd
}

// moment reads --at.
func (a *app) moment(text string) (backup.At, error) {
	if text == "" {
		return backup.At{}, nil
	}
	point, err := parsePoint(text, a.now())
	if err == nil && point.At.IsZero() && point.Position < 1 {
		err = usagef("--at %s: the first position is 1", text)
	}
	return backup.At{Position: point.Position, Time: point.At}, err
}

func (a *app) restore(ctx context.Context, cfg config, file, identity string, at backup.At) error {
	path, err := cfg.databasePath()
	if err != nil {
		return err
	}
	archive, err := openArchive(ctx, file, identity)
	if err != nil {
		return err
	}
	lock, err := lockDataDir(cfg.DataDir, true)
	if err != nil {
		return err
	}
	defer lock.Release() //nolint:errcheck // the process ends
	done, err := backup.Restore(ctx, backup.RestoreOptions{
		Archive: archive, DataDir: cfg.DataDir, Database: path, At: at, Folds: folds(nil),
		Now: a.now, Progress: a.phase,
	})
	if err != nil {
		return backupHint(err)
	}
	if a.json {
		return a.printJSON(done)
	}
	return a.printRestored(done)
}

// phase says what a long work is at, on a terminal only.
func (a *app) phase(name string) {
	if _, ok := terminal(a.stderr); ok {
		a.note("%s…", name)
	}
}

func (a *app) printRestored(done backup.Restored) error {
	text := fmt.Sprintf("restored %d events, head %s, verified, in %s\n", done.Head.Position, done.Head.Hash, done.Took.Round(time.Millisecond))
	if done.Cut > 0 {
		text += count(int(done.Cut), "event") + " after that moment were left out\n"
	}
	if done.NewLogID {
		text += "the log has a new id, " + done.LogID + ": clients begin afresh\n"
	}
	if done.Aside != "" {
		text += "what was there before is in " + done.Aside + "\n"
	}
	_, err := fmt.Fprint(a.stdout, text)
	return err
}
