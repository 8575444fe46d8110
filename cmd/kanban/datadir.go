package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/ops/backup"
	"github.com/agent-kanban/agent-kanban/projections"
	"github.com/agent-kanban/agent-kanban/readmodel"

	"github.com/agent-kanban/agent-kanban/ops/logs"
)

// openToRead opens the log beside whatever else has it open.
func openToRead(ctx context.Context, cfg config, log *slog.Logger) (*sqlstore.DB, error) {
	path, err := cfg.databasePath()
	if err != nil {
		return nil, err
	}
	if backup.Pending(cfg.DataDir) {
		return nil, &hinted{errors.New("a restore was interrupted half way"), "kanban serve, or kanban rebuild: either finishes it first"}
	}
	db, err := sqlstore.Open(ctx, sqlstore.Options{Path: path, ReadOnly: true, Logger: log})
	return db, elsewhere(err)
}

// elsewhere advises whoever has no database where they look.
func elsewhere(err error) error {
	if errors.Is(err, sqlstore.ErrNoDatabase) {
		return &hinted{err, "the directory of the server with --data-dir or DATA_DIR, or kanban serve for a new one"}
	}
	if errors.Is(err, sqlstore.ErrFileDamaged) {
		return &hinted{err, "kanban recover --dry-run (with the server stopped), which says what the copies still hold; then kanban recover"}
	}
	return err
}

// offline is a data directory that this process has for itself.
type offline struct {
	cfg  config
	lock *sqlstore.FileLock
	db   *sqlstore.DB
}

// openToWrite takes the data directory; create allows a new database in it.
func openToWrite(ctx context.Context, cfg config, create bool, log *slog.Logger) (*offline, error) {
	path, err := cfg.databasePath()
	if err != nil {
		return nil, err
	}
	if create {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, fmt.Errorf("data directory: %w", err)
		}
	}
	lock, err := lockDataDir(cfg.DataDir, create)
	if err != nil {
		return nil, err
	}
	db, err := sqlstore.Open(ctx, sqlstore.Options{Path: path, Create: create, Synchronous: cfg.Synchronous, Logger: log})
	if err != nil {
		return nil, errors.Join(elsewhere(err), lock.Release())
	}
	return &offline{cfg: cfg, lock: lock, db: db}, nil
}

func lockDataDir(dir string, create bool) (*sqlstore.FileLock, error) {
	if create {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("data directory: %w", err)
		}
	}
	lock, err := sqlstore.Lock(dir)
	if err != nil {
		return nil, err
	}
	// A restore that a crash interrupted is finished by whoever comes next.
	if err := backup.Finish(dir); err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	return lock, nil
}

func (o *offline) close() error { return errors.Join(o.db.Close(), o.lock.Release()) }

// do carries out one command as the system, the way serve does.
func (o *offline) do(ctx context.Context, meta commands.Meta, cmd commands.Command) (commands.Receipt, error) {
	seq, err := commands.New(commands.Config{Store: o.db})
	if err != nil {
		return commands.Receipt{}, err
	}
	seq.Start()
	defer seq.Stop()
	meta.Actor, meta.Trusted = events.SystemActor, true
	return seq.Do(ctx, meta, cmd)
}

// accounts gives access to passwords and sessions. It starts nothing.
func (o *offline) accounts() (*auth.Service, error) {
	key, err := auth.LoadOrCreateKey(o.cfg.DataDir, o.cfg.SecretKey)
	if err != nil {
		return nil, err
	}
	return auth.New(auth.Config{Key: key, Reader: o.db.Reader()}, o.db, noUsers{})
}

// noUsers stands in where nobody signs in.
type noUsers struct{}

func (noUsers) UserByName(context.Context, string) (auth.User, error) {
	return auth.User{}, events.Errorf(events.CodeNotFound, "There is no such user.")
}

func (noUsers) UserByID(context.Context, int64) (auth.User, error) {
	return auth.User{}, events.Errorf(events.CodeNotFound, "There is no such user.")
}

// people folds the log's users: the read model may be behind while no server
// runs.
func people(ctx context.Context, log events.Reader) ([]readmodel.User, error) {
	fold := projections.NewTimeline()
	q := events.Query{Types: []events.Type{events.TypeUserRegistered, events.TypeUserUpdated, events.TypeUserDeactivated}}
	for e, err := range events.All(ctx, log, q) {
		if err == nil {
			err = fold.Apply(e)
		}
		if err != nil {
			return nil, fmt.Errorf("read users: %w", err)
		}
	}
	return fold.Users(), nil
}

// toolLog is where the offline commands warn.
func (a *app) toolLog() *slog.Logger {
	return slog.New(logs.NewHuman(a.stderr, slog.LevelWarn))
}

// progress draws how far a long work is, on a terminal only.
func (a *app) progress(what string) func(done, total int64) {
	if _, ok := terminal(a.stderr); !ok {
		return nil
	}
	return func(done, total int64) {
		if total > 0 {
			fmt.Fprintf(a.stderr, "\r%s %d of %d (%d %%)", what, done, total, done*100/total)
			if done >= total {
				fmt.Fprintln(a.stderr)
			}
		}
	}
}

// replaceFile writes a file completely or not at all.
func replaceFile(path string, write func(io.Writer) error) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	err = write(tmp)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// mustExist refuses where there is no database: whoever mistyped a directory
// must not get files made in it.
func mustExist(path string) error {
	if _, err := os.Stat(path); err != nil {
		return elsewhere(fmt.Errorf("%w: %w", err, sqlstore.ErrNoDatabase))
	}
	return nil
}
