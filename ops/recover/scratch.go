package recover

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"

	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/agent-kanban/agent-kanban/events"
)

// kind says how much of an event a row holds; the lower one is believed.
type kind int

const (
	redacted kind = iota // its data was removed on purpose: that must not be undone
	whole
	lost // its data did not survive
)

// Scratch is a database on disk that holds everything the sources say. It may be
// deleted at any time after Close.
type Scratch struct {
	db      *sql.DB
	sources []SourceReport
	report  *Report // of Plan
}

// SourceReport says what a source held.
type SourceReport struct {
	Name   string `json:"name"`
	Rows   int64  `json:"rows"`             // that look like events, repeated ones included
	Errors int64  `json:"errors,omitempty"` // places that could not be read
	Error  string `json:"error,omitempty"`  // the first
	// Torn says that behind the last place that could not be read nothing was left:
	// of a copy in order of the log, how far it went is not known.
	Torn bool `json:"torn,omitempty"`
}

// NewScratch makes scratch.db in dir. The caller closes it.
func NewScratch(ctx context.Context, dir string) (*Scratch, error) {
	address, err := address(filepath.Join(dir, "scratch.db"))
	if err != nil {
		return nil, fmt.Errorf("recover: %w", err)
	}
	db, err := sql.Open("sqlite", address+"?_pragma=journal_mode(OFF)&_pragma=synchronous(OFF)&_pragma=locking_mode(EXCLUSIVE)&_pragma=cache_size(-16000)")
	if err != nil {
		return nil, fmt.Errorf("recover: %w", err)
	}
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, `
		CREATE TABLE rows (
			position INTEGER NOT NULL,
			kind     INTEGER NOT NULL,
			source   INTEGER NOT NULL, -- the lower one is trusted more
			hash     BLOB    NOT NULL,
			body     BLOB    NOT NULL, -- the event in its JSON form
			sum      BLOB    NOT NULL, -- of the body: a damaged copy may have the hash of a sound one
			state    INTEGER NOT NULL DEFAULT 0
		) STRICT;
		CREATE UNIQUE INDEX rows_once ON rows (position, sum, kind);
		CREATE INDEX rows_state ON rows (state, position);
		CREATE TABLE emptied (
			position INTEGER PRIMARY KEY,
			schema   INTEGER NOT NULL,
			sha      BLOB    NOT NULL -- of what the last redaction left
		) STRICT;
		CREATE TABLE ledger (
			command_id TEXT NOT NULL, actor TEXT NOT NULL, request_sha BLOB NOT NULL, first_position INTEGER NOT NULL,
			last_position INTEGER NOT NULL, stream TEXT NOT NULL, version INTEGER NOT NULL, recorded_at INTEGER NOT NULL,
			PRIMARY KEY (command_id, actor)
		) STRICT, WITHOUT ROWID;`); err != nil {
		return nil, errors.Join(fmt.Errorf("recover: %w", err), db.Close())
	}
	return &Scratch{db: db}, nil
}

// address is the URI of a database file.
func address(path string) (string, error) {
	path, err := filepath.Abs(path)
	uri := url.URL{Scheme: "file", Path: filepath.ToSlash(path)}
	return uri.String(), err
}

// Close gives the file free.
func (s *Scratch) Close() error { return s.db.Close() }

// Collect keeps what the sources hold, the most trusted first. A source that
// fails is noted; only a failure of the scratch database, or the end of ctx, is
// an error.
func (s *Scratch) Collect(ctx context.Context, sources ...Source) error {
	for _, source := range sources {
		if err := s.collect(ctx, source); err != nil {
			return fmt.Errorf("recover: collect from %s: %w", source.Name, err)
		}
	}
	return nil
}

func (s *Scratch) collect(ctx context.Context, source Source) error {
	said := SourceReport{Name: source.Name}
	index := len(s.sources)
	batch := make([]Row, 0, 200)
	flush := func() error {
		err := s.insert(ctx, batch, index)
		batch = batch[:0]
		return err
	}
	for row, err := range source.Rows(ctx) {
		if err != nil {
			if said.Errors++; said.Error == "" {
				said.Error = err.Error()
			}
			said.Torn = true
			continue
		}
		said.Rows++
		said.Torn = false
		if batch = append(batch, row); len(batch) == cap(batch) {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	s.sources = append(s.sources, said)
	return errors.Join(flush(), ctx.Err())
}

func (s *Scratch) insert(ctx context.Context, batch []Row, source int) (err error) {
	if len(batch) == 0 {
		return nil
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	stmt, err := tx.PrepareContext(ctx, `INSERT INTO rows (position, kind, source, hash, body, sum) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`)
	if err != nil {
		return err
	}
	defer stmt.Close()
	for i := range batch {
		e, k := &batch[i].Event, whole
		switch {
		case batch[i].Lost:
			k = lost
		case e.Redacted():
			k = redacted
		}
		for _, c := range batch[i].Commands {
			if _, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO ledger VALUES (?,?,?,?,?,?,?,?)`,
				c.ID, c.Actor, c.RequestSHA[:], c.First, c.Last, c.Stream, c.Version, c.RecordedAt.UnixMicro()); err != nil {
				return err
			}
		}
		body := e.JSON()
		sum := sha256.Sum256(body)
		if _, err := stmt.ExecContext(ctx, e.Position, int(k), source, e.Hash[:], body, sum[:16]); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// candidate is a row of the scratch database.
type candidate struct {
	id     int64
	kind   kind
	source int
	event  events.Envelope
}

// candidates returns up to limit rows above a place (position, id), in order.
func (s *Scratch) candidates(ctx context.Context, after, afterID int64, limit int) (list []candidate, err error) {
	rows, err := s.db.QueryContext(ctx, `SELECT rowid, position, kind, source, hash, body FROM rows
		WHERE position > ?1 OR position = ?1 AND rowid > ?2 ORDER BY position, rowid LIMIT ?3`, after, afterID, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var c candidate
		var position int64
		var hash, body []byte
		if err := rows.Scan(&c.id, &position, &c.kind, &c.source, &hash, &body); err != nil {
			return nil, err
		}
		// What cannot be read back was never a sound event: its text is no text.
		if c.event.UnmarshalJSON(body) != nil || !bytes.Equal(c.event.Hash[:], hash) || c.event.Position != position {
			c.event = events.Envelope{Position: position}
		}
		list = append(list, c)
	}
	return list, rows.Err()
}
