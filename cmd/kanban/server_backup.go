package main

import (
	"context"
	"fmt"
	"time"

	"github.com/agent-kanban/agent-kanban/ops/backup"
)

// startBackups begins to take backups by BACKUP_SCHEDULE.
func (s *server) startBackups(context.Context) (err error) {
	create, err := s.cfg.backupOptions()
	if err != nil {
		return err
	}
	c := backup.SchedulerConfig{Create: create, Logger: s.logs.Log}
	if s.cfg.BackupSchedule != never {
		c.Schedule = s.cfg.BackupSchedule
	}
	if s.cfg.BackupBucket != "" {
		if c.Bucket, err = bucket("BACKUP_BUCKET", s.cfg.BackupBucket); err != nil {
			return err
		}
	}
	if s.backups, err = backup.NewScheduler(c); err != nil {
		return err
	}
	if err := s.backups.Start(); err != nil {
		return err
	}
	s.onClose(func(context.Context) error { s.backups.Stop(); return nil })
	if s.lastBackup == nil {
		s.lastBackup = func(context.Context) (time.Time, error) { return s.backups.Status().LastSuccess, nil }
	}
	return nil
}

// beforeUpgrade copies a database that this program is about to change to its own
// schema: there is no way back but a copy.
func (s *server) beforeUpgrade(ctx context.Context, database string) error {
	path, err := backup.BeforeUpgrade(ctx, database, s.cfg.backupDir(), time.Now())
	if err != nil {
		return &hinted{
			fmt.Errorf("the database is of an older version and was left as it is, because no copy of it could be made first: %w", err),
			"room in BACKUP_DIR, or another folder for it, then start again",
		}
	}
	s.logs.Log.Info("the database is upgraded; to go back to the version before, put the copy in its place", "copy", path)
	return nil
}

// bucket is the one at an address, for whom the environment says that we are.
func bucket(name, address string) (*backup.Bucket, error) {
	env, err := readEnv()
	if err != nil {
		return nil, err
	}
	b, err := backup.NewBucket(backup.BucketConfig{
		Address: address, KeyID: env["AWS_ACCESS_KEY_ID"], Secret: env["AWS_SECRET_ACCESS_KEY"],
		Token: env["AWS_SESSION_TOKEN"], Region: env["AWS_REGION"],
	})
	if err != nil {
		return nil, &hinted{&configError{[]error{bad(name, "%v", err)}}, "mend the variables named above, in the environment or in " + dotEnv}
	}
	return b, nil
}
