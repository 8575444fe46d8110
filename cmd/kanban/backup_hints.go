package main

import (
	"errors"
	"io/fs"

	"github.com/agent-kanban/agent-kanban/ops/backup"
)

// backupHint says what to do about an error of the backup package.
func backupHint(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, backup.ErrEncrypted):
		return &hinted{err, "--identity FILE with the secret key that belongs to BACKUP_AGE_RECIPIENT"}
	case errors.Is(err, backup.ErrSourceDamaged):
		return &hinted{err, "kanban verify to see what is wrong; kanban restore with an earlier backup"}
	case errors.Is(err, backup.ErrNoMoment):
		return &hinted{err, "kanban backup list for what there is; --log DIR reaches further than the backup"}
	case errors.Is(err, backup.ErrDiverged):
		return &hinted{err, "another folder for BACKUP_SHIP_TO; keep this one, it holds events that this log lacks"}
	case errors.Is(err, backup.ErrDamaged):
		return &hinted{err, "another backup (kanban backup list)"}
	case errors.Is(err, fs.ErrNotExist):
		return &hinted{err, "the directory of the server with --data-dir or DATA_DIR; kanban backup list for the backups that there are"}
	default:
		return err
	}
}
