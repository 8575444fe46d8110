package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/ops"
	"github.com/agent-kanban/agent-kanban/ops/backup"
	"github.com/agent-kanban/agent-kanban/ops/machine"
	"github.com/agent-kanban/agent-kanban/ops/recover"
	"github.com/agent-kanban/agent-kanban/projections"
)

// madeFromLog are the tables that are not copied from a damaged database: the log
// itself and what is made anew from it.
var madeFromLog = []string{
	"events", "commands", "meta", "snapshots", "redacted_events", "schema_migrations", "checkpoints", "parked_events",
	"boards", "columns", "members", "tickets", "comments", "ticket_history", "users", "dependencies", "usage", "work", "stays", "claims",
}

// replace makes the new database and puts it in the place of the old one. Until
// then nothing is changed.
func (r *recovery) replace(ctx context.Context) error {
	fresh := filepath.Join(r.work, defaultDatabase)
	if err := r.build(ctx, fresh); err != nil {
		return fmt.Errorf("recover: %w (nothing was changed)", err)
	}
	// First of all, so that an interruption loses none of it: the next recovery
	// reads it again.
	if err := r.saveBeyond(ctx); err != nil {
		return fmt.Errorf("recover: %w (nothing was changed)", err)
	}
	if err := r.makeAside(); err != nil {
		return err
	}
	for _, suffix := range []string{"-wal", "-shm", ""} {
		if err := r.move(r.path+suffix, filepath.Base(r.path)+suffix); err != nil {
			return err
		}
	}
	if err := os.Rename(fresh, r.path); err != nil {
		return fmt.Errorf("recover: the old database is in %s: %w", r.aside, err)
	}
	// All that these hold is in the log now or will be in recovered/; the next
	// start makes the stream anew.
	if err := r.move(filepath.Join(r.cfg.DataDir, "jetstream"), "jetstream"); err != nil {
		return err
	}
	return errors.Join(r.moveSaved(), machine.SyncFolder(r.cfg.DataDir), machine.SyncFolder(filepath.Dir(r.path)))
}

// moveSaved takes away the files of saved events that are in the log now.
func (r *recovery) moveSaved() error {
	saved, err := filepath.Glob(filepath.Join(r.cfg.DataDir, "recovered", "events-*.jsonl"))
	for _, file := range saved {
		if !slices.Contains(r.report.Files, file) {
			err = errors.Join(err, r.move(file, filepath.Base(file)))
		}
	}
	return err
}

// tidy puts saved events aside that turned out to be in the log, so that nobody
// is told of them any more.
func (r *recovery) tidy() error {
	saved, err := filepath.Glob(filepath.Join(r.cfg.DataDir, "recovered", "events-*.jsonl"))
	saved = slices.DeleteFunc(saved, func(file string) bool { return slices.Contains(r.report.Files, file) })
	if err != nil || len(saved) == 0 {
		return err
	}
	if err := r.makeAside(); err != nil {
		return err
	}
	return r.moveSaved()
}

func (r *recovery) makeAside() error {
	r.aside = filepath.Join(r.cfg.DataDir, "damaged-"+r.a.now().UTC().Format("20060102T150405.000"))
	if err := os.Mkdir(r.aside, 0o700); err != nil {
		return fmt.Errorf("recover: %w (nothing was changed)", err)
	}
	return nil
}

// move puts a file or folder among the damaged ones; one that is not there is
// none.
func (r *recovery) move(path, name string) error {
	err := os.Rename(path, filepath.Join(r.aside, name))
	if err == nil || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("recover: move the damaged files away: %w", err)
}

func (r *recovery) saveBeyond(ctx context.Context) error {
	if r.report.Beyond == 0 {
		return nil
	}
	dir := filepath.Join(r.cfg.DataDir, "recovered")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	file := filepath.Join(dir, fmt.Sprintf("events-after-%d.jsonl", r.report.Head.Position))
	r.report.Files = []string{file}
	return replaceFile(file, func(w io.Writer) error { return r.scratch.WriteBeyond(ctx, w) })
}

// build makes a database of what the plan found, and verifies it.
func (r *recovery) build(ctx context.Context, path string) (err error) {
	db, err := sqlstore.Open(ctx, sqlstore.Options{Path: path, Create: true, Synchronous: r.cfg.Synchronous, Logger: r.a.toolLog()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = db.Restore(ctx, r.report.LogID, func(ctx context.Context, tx events.Tx) error {
		if err := r.scratch.Write(ctx, tx); err != nil {
			return err
		}
		copied, unread, err := r.old.CopyTables(ctx, tx.SQL(), madeFromLog)
		r.report.Tables, r.unread = copied, slices.Sorted(maps.Keys(unread))
		if err != nil || len(unread) == 0 {
			return err
		}
		return r.borrow(ctx, tx.SQL())
	})
	if err != nil {
		return err
	}
	if err := db.Update(ctx, func(ctx context.Context, tx *sql.Tx) error { return r.accounts(ctx, db, tx) }); err != nil {
		return err
	}
	if _, err := projections.Rebuild(ctx, projections.RebuildConfig{DB: db.Writer(), Update: db.UpdateRelaxed, Log: db}); err != nil {
		return err
	}
	if len(r.borrowed) > 0 || r.shipped != nil {
		if err := backup.SettleSides(ctx, db); err != nil {
			return err
		}
	}
	// A copy of before a redaction brought text that the log does not hold now.
	if err := db.Clean(ctx, r.report.Head.Position); err != nil {
		return err
	}
	v, err := ops.Verify(ctx, db, verifyOptions(db, nil, nil))
	// What is lost of redacted events was told already; anything else is no log.
	known := err == nil && int64(v.Total) == r.report.KeptLost && !slices.ContainsFunc(v.Problems, func(p ops.Problem) bool { return p.Check != ops.CheckRedaction })
	if err == nil && (!known || v.Head != r.report.Head) {
		err = fmt.Errorf("the new log does not verify: %v", v.Problems)
	}
	return err
}

// accounts fills in, from the damaged pages, passwords and API tokens of tables
// that could not be read to their ends. Pages also hold what was deleted, so the
// log has the last word on who may sign in.
func (r *recovery) accounts(ctx context.Context, log events.Reader, tx *sql.Tx) error {
	unread := slices.Concat(r.unread, r.borrowed)
	passwords, tokens := slices.Contains(unread, "credentials"), slices.Contains(unread, "api_tokens")
	if !passwords && !tokens {
		return nil
	}
	found := r.carver.Accounts()
	gone, ended := map[int64]bool{}, map[int64]bool{}
	issued := map[int64]bool{}
	q := events.Query{Types: []events.Type{events.TypeUserDeactivated, events.TypeTokenIssued, events.TypeTokenRevoked}}
	for e, err := range events.All(ctx, log, q) {
		if err != nil {
			return err
		}
		fact, err := e.Payload()
		if err != nil {
			gone[events.StreamID(e.Stream)] = true // who it was about is not known, so nobody of that stream gets in
			continue
		}
		switch f := fact.(type) {
		case events.UserDeactivated:
			gone[events.StreamID(e.Stream)] = true
		case events.TokenIssued:
			issued[f.TokenID] = true
		case events.TokenRevoked:
			ended[f.TokenID] = true
		default: // says nothing about accounts
		}
	}
	for user, c := range found.Credentials {
		if !passwords || gone[user] {
			continue
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO credentials (user_id, password_hash, updated_at) VALUES (?, ?, ?)
			ON CONFLICT (user_id) DO UPDATE SET password_hash = excluded.password_hash, updated_at = excluded.updated_at WHERE excluded.updated_at > updated_at`,
			user, c.PasswordHash, c.UpdatedAt); err != nil {
			return err
		}
	}
	for id, t := range found.Tokens {
		if !tokens || !issued[id] || ended[id] || t.Revoked || gone[t.UserID] {
			continue
		}
		if err := addToken(ctx, tx, id, t); err != nil {
			return err
		}
	}
	return nil
}

func addToken(ctx context.Context, tx *sql.Tx, id int64, t recover.Token) error {
	orNull := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	_, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO api_tokens
		(id, user_id, name, prefix, token_sha, role, boards, created_at, expires_at, last_used_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		id, t.UserID, t.Name, t.Prefix, t.SHA, t.Role, t.Boards, t.CreatedAt, orNull(t.ExpiresAt), orNull(t.LastUsed))
	return err
}
