package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/ops/backup"
)

func (a *app) backupDrillCommand() *cobra.Command {
	var identity string
	cmd := &cobra.Command{
		Use:   "drill",
		Short: "Rehearse a disaster: take a backup, restore it elsewhere, prove it, say how long it took",
		Long: `Rehearse a disaster: take a backup into a temporary folder (TMPDIR, which needs
room for three times the database), restore it there as on another machine,
verify it, and remove everything again. What is in use is only read; a server may
run. It says how long that took, and what the loss of this machine would cost:
RTO, the time until there is a verified data directory again, and RPO, how much of
the newest work is gone, by BACKUP_SHIP_TO or BACKUP_SCHEDULE.

Where BACKUP_AGE_RECIPIENT is set, give the secret key with --identity: that it is
there and fits is part of the drill.`,
		Example: "  kanban backup drill\n  kanban backup drill --identity key.txt --json",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(a.dataDir)
			if err != nil {
				return err
			}
			o := backup.DrillOptions{Folds: folds(nil), Schedule: cfg.BackupSchedule, Shipped: cfg.BackupShipTo != "", Progress: a.phase}
			if o.Create, err = cfg.backupOptions(); err != nil {
				return err
			}
			if o.Identities, err = backup.ReadIdentities(identity); err != nil {
				return &hinted{err, "--identity with the file that age-keygen wrote"}
			}
			done, err := backup.Drill(cmd.Context(), o)
			if err != nil {
				return backupHint(err)
			}
			if a.json {
				return a.printJSON(done)
			}
			return a.printDrilled(done)
		},
	}
	identityFlag(cmd, &identity)
	return cmd
}

func (a *app) printDrilled(d backup.Drilled) error {
	_, err := fmt.Fprintf(a.stdout, "ok   a backup of %s (%s) was taken in %s, restored and verified in %s\n     RTO  %s on a machine like this one, once the file is there\n     RPO  %s\n",
		count(int(d.Position), "event"), bytesText(d.Size), d.Backup.Round(time.Millisecond), d.Restore.Round(time.Millisecond),
		d.RTO.Round(time.Millisecond), exposureText(d.RPO))
	return err
}

// exposureText says what an RPO means.
func exposureText(d time.Duration) string {
	switch {
	case d < 0:
		return "everything since the last kanban backup: set BACKUP_SCHEDULE, and BACKUP_SHIP_TO for less than a second"
	case d <= time.Second:
		return "a second: BACKUP_SHIP_TO follows the log"
	default:
		return span(d) + ", from one backup to the next: BACKUP_SHIP_TO makes it a second"
	}
}
