package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/ops/backup"
)

// startShipping begins to copy the log to BACKUP_SHIP_TO. It starts before
// everything that writes and stops after it, so that the copy is complete.
func (s *server) startShipping(context.Context) (err error) {
	if s.cfg.BackupShipTo == "" {
		return nil
	}
	if s.shipper, err = newShipper(s.cfg, s.db, s.cfg.BackupShipTo, s.logs.Log); err != nil {
		return err
	}
	s.shipper.Start()
	s.onClose(func(context.Context) error { s.shipper.Stop(); return nil })
	return nil
}

// newShipper copies a log to a folder or a bucket.
func newShipper(cfg config, db *sqlstore.DB, to string, log *slog.Logger) (*backup.Shipper, error) {
	sink := backup.Sink(backup.NewFolder(to))
	if isBucket(to) {
		b, err := bucket("BACKUP_SHIP_TO", to)
		if err != nil {
			return nil, err
		}
		sink = b.Ship()
	}
	return backup.NewShipper(backup.ShipperConfig{Log: db, Sink: sink, Recipient: cfg.BackupRecipient, Logger: log})
}

// isBucket tells the address of a bucket from the path of a folder.
func isBucket(to string) bool {
	return strings.HasPrefix(to, "https://") || strings.HasPrefix(to, "http://")
}

// follow is kanban backup --follow.
func (a *app) follow(ctx context.Context, cfg config, to string) error {
	if to == "" {
		to = cfg.BackupShipTo
	}
	if to == "" {
		return usagef("say where the log is copied to: --out FOLDER, or BACKUP_SHIP_TO")
	}
	db, err := openToRead(ctx, cfg, a.toolLog())
	if err != nil {
		return err
	}
	defer db.Close()
	shipper, err := newShipper(cfg, db, to, a.toolLog())
	if err != nil {
		return err
	}
	a.note("copying log %s to %s; Ctrl-C ends it", db.LogID(), to)
	if err := shipper.Follow(ctx); !errors.Is(err, context.Canceled) {
		return backupHint(err)
	}
	status := shipper.Status()
	if a.json {
		return a.printJSON(status)
	}
	_, err = fmt.Fprintf(a.stdout, "copied up to position %d\n", status.Position)
	return err
}

// shippedLog is what --log names, made ready to read; discard removes what was
// fetched for it.
func shippedLog(ctx context.Context, archive *backup.Archive, from, identity string) (_ *backup.Shipped, discard func() error, err error) {
	keys, err := backup.ReadIdentities(identity)
	if err != nil {
		return nil, nil, err
	}
	log := &backup.Shipped{Dir: from, Identities: keys}
	discard = func() error { return nil }
	if !isBucket(from) {
		if _, err := os.Stat(from); err != nil {
			return nil, nil, &hinted{err, "--log with the folder or address that BACKUP_SHIP_TO had"}
		}
		return log, discard, nil
	}
	b, err := bucket("--log", from)
	if err != nil {
		return nil, nil, err
	}
	if log.Dir, err = os.MkdirTemp("", "kanban-log-"); err != nil {
		return nil, nil, err
	}
	discard = func() error { return os.RemoveAll(log.Dir) }
	if err := b.Fetch(ctx, archive.Manifest.LogID, log.Dir); err != nil {
		return nil, nil, errors.Join(err, discard())
	}
	return log, discard, nil
}
