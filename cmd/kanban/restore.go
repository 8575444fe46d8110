package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/ops/backup"
)

func (a *app) restoreCommand() *cobra.Command {
	var o restoreFlags
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup in the place of what is in the data directory",
		Long: `Put a backup in the place of what is in the data directory. The server must be
stopped. The backup is extracted beside the database, brought to the moment that
--at names, and verified; only then it takes the place of the database, all at
once: a crash leaves either the old or the new state. What was there before is
kept, in before-restore-<time>.

--log adds what came after the backup from the copy that BACKUP_SHIP_TO or kanban
backup --follow made. With --at the log ends at a position, or at the last event
recorded until a time. Either way the chain is proven and the read models are
made anew. Unless it is certain that clients have seen nothing that the log now
lacks, it gets a new log_id, and they begin afresh; --keep-id prevents that.

FILE may be the address of one in a bucket, https://host/bucket/folder/name, with
the credentials of BACKUP_BUCKET.

SECRET_KEY is not part of a backup: on another machine set the same one, or
everybody signs in again.`,
		Example: `  kanban restore backups/kanban-20260815T020000Z-4711.tar.zst
  kanban restore FILE.age --identity key.txt --data-dir /var/lib/kanban
  kanban restore FILE --log /mnt/other-disk/kanban-log
  kanban restore FILE --at 4700
  kanban restore FILE --at 2026-08-15T01:30:00Z`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := loadConfig(a.dataDir)
			if err != nil {
				return err
			}
			return a.restore(cmd.Context(), cfg, args[0], o)
		},
	}
	cmd.Flags().StringVar(&o.log, "log", "", "copy of the log (BACKUP_SHIP_TO): what came after the backup is added from it")
	cmd.Flags().BoolVar(&o.keepID, "keep-id", false, "keep the log_id: nobody has seen events that this log lacks (a move to another machine)")
	cmd.Flags().StringVar(&o.at, "at", "", "where the log ends: a position, a time (2026-08-15T00:00:00Z), or how long ago (2h)")
	identityFlag(cmd, &o.identity)
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

// restoreFlags are those of kanban restore.
type restoreFlags struct {
	at, log, identity string
	keepID            bool
}

func (a *app) restore(ctx context.Context, cfg config, file string, flags restoreFlags) (err error) {
	o := backup.RestoreOptions{DataDir: cfg.DataDir, KeepID: flags.keepID, Folds: folds(nil), Now: a.now, Progress: a.phase}
	if o.At, err = a.moment(flags.at); err != nil {
		return err
	}
	if o.Database, err = cfg.databasePath(); err != nil {
		return err
	}
	archive, discard, err := openArchive(ctx, file, flags.identity)
	if err != nil {
		return err
	}
	defer discard()
	o.Archive = archive
	if flags.log != "" {
		log, discard, err := shippedLog(ctx, o.Archive, flags.log, flags.identity)
		if err != nil {
			return err
		}
		defer discard() //nolint:errcheck // a temporary folder
		o.Log = log
	}
	lock, err := lockDataDir(cfg.DataDir, true)
	if err != nil {
		return err
	}
	defer lock.Release() //nolint:errcheck // the process ends
	done, err := backup.Restore(ctx, o)
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
	text := fmt.Sprintf("restored %s, head %s, verified, in %s\n", count(int(done.Head.Position), "event"), done.Head.Hash, done.Took.Round(time.Millisecond))
	if done.Replayed > 0 {
		text += count(int(done.Replayed), "event") + " came from the copy of the log\n"
	}
	if len(done.NoPassword) > 0 {
		text += "without a password, so set one (kanban user password NAME): " + clean(strings.Join(done.NoPassword, ", ")) + "\n"
	}
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
