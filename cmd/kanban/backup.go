package main

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/ops/backup"
)

func (a *app) backupCommand() *cobra.Command {
	var out string
	var follow bool
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Take a backup: one file with everything that a restore needs",
		Long: `Take a backup of the data directory: one file with the log, the accounts and the
read models as of one moment, while a server runs or not. It is written to
BACKUP_DIR (default DATA_DIR/backups) under the name
kanban-<time>-<position>.tar.zst, and with BACKUP_AGE_RECIPIENT set it ends in
.age and can be read with the secret key only. With BACKUP_BUCKET set it is
uploaded too, unless --out is given.

SECRET_KEY is not part of it. Keep that elsewhere: without it a restored server
asks everybody to sign in again, and nothing worse.

An attempt that fails or is interrupted leaves nothing behind.

With --follow it copies the log instead, event by event as they are appended, to
the folder (or the address of a bucket) that --out or BACKUP_SHIP_TO names: with
that copy, on another disk or machine, kanban restore --log loses less than a
second. A server with BACKUP_SHIP_TO does this by itself.`,
		Example: `  kanban backup
  kanban backup --out /mnt/backups --json
  BACKUP_AGE_RECIPIENT=age1… kanban backup
  kanban backup --follow --out /mnt/other-disk/kanban-log`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(a.dataDir)
			if err != nil {
				return err
			}
			if follow {
				return a.follow(cmd.Context(), cfg, out)
			}
			return a.backup(cmd.Context(), cfg, out)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "folder for the backup (BACKUP_DIR; default DATA_DIR/backups)")
	cmd.Flags().BoolVar(&follow, "follow", false, "copy the log as it grows, until interrupted")
	cmd.AddCommand(a.backupListCommand(), a.backupVerifyCommand(), a.backupDrillCommand())
	return cmd
}

func (a *app) backup(ctx context.Context, cfg config, out string) error {
	options, err := cfg.backupOptions()
	if err != nil {
		return err
	}
	if out != "" {
		options.Out = out
	}
	options.Progress, options.Now = a.phases(), a.now
	made, err := backup.Create(ctx, options)
	if err != nil {
		return backupHint(err)
	}
	if cfg.BackupBucket != "" && out == "" {
		b, err := bucket("BACKUP_BUCKET", cfg.BackupBucket)
		if err != nil {
			return err
		}
		if err := b.Upload(ctx, made.Path, filepath.Base(made.Path)); err != nil {
			return &hinted{fmt.Errorf("%s was written, but not uploaded: %w", made.Path, err), "the address and the credentials of the bucket, then again"}
		}
	}
	if a.json {
		return a.printJSON(made)
	}
	_, err = fmt.Fprintf(a.stdout, "%s\n%d events, %s, in %s\n", made.Path, made.Manifest.Position, bytesText(made.Size), made.Took.Round(time.Millisecond))
	return err
}

// phases draws how far each phase of a long work is, on a terminal only.
func (a *app) phases() func(phase string, done, total int64) {
	if a.progress("") == nil {
		return nil
	}
	return func(phase string, done, total int64) { a.progress(phase)(done, total) }
}

// bytesText is a size as people read it.
func bytesText(n int64) string {
	const step = 1024
	if n < step {
		return fmt.Sprintf("%d B", n)
	}
	value, units := float64(n)/step, "KMGTPE"
	for value >= step && len(units) > 1 {
		value, units = value/step, units[1:]
	}
	return fmt.Sprintf("%.1f %ciB", value, units[0])
}

// backupDir is where backups are.
func (c *config) backupDir() string {
	if c.BackupDir != "" {
		return c.BackupDir
	}
	return filepath.Join(c.DataDir, "backups")
}

// backupOptions are those that the configuration says.
func (c *config) backupOptions() (backup.Options, error) {
	path, err := c.databasePath()
	return backup.Options{
		Database: path, DataDir: c.DataDir, Out: c.backupDir(), Recipient: c.BackupRecipient,
		Version: release(), Configuration: c.public(),
	}, err
}

// private are the variables that hold secrets, or addresses that may contain
// some: they are in no backup.
var private = []string{
	"SECRET_KEY", "SECRET_KEY_PREVIOUS", "METRICS_TOKEN", "ALERT_WEBHOOK", "ALERT_WEBHOOK_SECRET",
	"REDIS_URL", "NATS_URL", "BACKUP_BUCKET", "BACKUP_SHIP_TO",
}

// public is the configuration without what is private, by the names of the
// variables.
func (c *config) public() map[string]string {
	values := map[string]string{}
	fields := reflect.ValueOf(c).Elem()
	for i := range fields.NumField() {
		name := fields.Type().Field(i).Tag.Get("env")
		if !slices.Contains(private, name) {
			values[name] = fmt.Sprint(fields.Field(i).Interface())
		}
	}
	return values
}
