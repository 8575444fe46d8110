package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

const (
	headSQL       = `SELECT position, hash FROM events ORDER BY position DESC LIMIT 1`
	insertSQL     = `INSERT INTO events (` + columns + `) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`
	ledgerColumns = `command_id, actor, request_sha, first_position, last_position, stream, version, recorded_at`
	ledgerSQL     = `SELECT ` + ledgerColumns + ` FROM commands WHERE command_id = ? AND actor = ?`
	ledgerAllSQL  = `SELECT ` + ledgerColumns + ` FROM commands WHERE command_id = ? ORDER BY first_position`
	recordSQL     = `INSERT INTO commands (` + ledgerColumns + `) VALUES (?,?,?,?,?,?,?,?)`
	snapshotSQL   = `SELECT version, position, state FROM snapshots WHERE stream = ? AND schema = ?`
	saveSQL       = `INSERT INTO snapshots (stream, version, position, schema, state) VALUES (?,?,?,?,?)
		ON CONFLICT (stream) DO UPDATE SET
			version = excluded.version, position = excluded.position, schema = excluded.schema, state = excluded.state`
	beatSQL = `INSERT INTO heartbeats (ticket_id, fence, at, expires_at) VALUES (?,?,?,?)
		ON CONFLICT (ticket_id) DO UPDATE SET fence = excluded.fence, at = excluded.at, expires_at = excluded.expires_at`
	unbeatSQL = `DELETE FROM heartbeats WHERE ticket_id = ?`
)

// statements are those of the append path, prepared once. What Tx.Read needs
// besides is prepared when it is needed.
type statements struct {
	head, insert, ledger, record, snapshot, save, beat, unbeat *sql.Stmt
	reads                                                      map[string]*sql.Stmt
}

func (db *DB) prepare(ctx context.Context) error {
	s := &db.stmts
	for _, p := range []struct {
		text string
		to   **sql.Stmt
	}{
		{headSQL, &s.head},
		{insertSQL, &s.insert},
		{ledgerSQL, &s.ledger},
		{recordSQL, &s.record},
		{snapshotSQL, &s.snapshot},
		{saveSQL, &s.save},
		{beatSQL, &s.beat},
		{unbeatSQL, &s.unbeat},
	} {
		var err error
		if *p.to, err = db.writer.PrepareContext(ctx, p.text); err != nil { //nolint:sqlclosecheck // kept until the pool closes
			return fmt.Errorf("prepare: %w", err)
		}
	}
	// The reads of every batch: catching up with other processes, and loading
	// a stream.
	s.reads = make(map[string]*sql.Stmt)
	for _, q := range []events.Query{{}, {After: 1}, {Stream: "s"}, {Stream: "s", AfterVersion: 1}} {
		text, _ := selectSQL(&q, span{above: q.AfterVersion}, 1)
		if s.reads[text] == nil {
			stmt, err := db.writer.PrepareContext(ctx, text) //nolint:sqlclosecheck // kept until the pool closes
			if err != nil {
				return fmt.Errorf("prepare: %w", err)
			}
			s.reads[text] = stmt
		}
	}
	return nil
}

// transaction is events.Tx. Like *sql.Tx it serves one goroutine at a time.
type transaction struct {
	db   *DB
	tx   *sql.Tx
	head events.Head
	done bool
	full bool // it has appended
	args [width]any

	// For Options.Appended.
	appended int
	insert   time.Duration
}

var _ events.Tx = (*transaction)(nil)

// Begin is events.Store.
func (db *DB) Begin(ctx context.Context) (events.Tx, error) {
	tx, err := db.begin(ctx, durable)
	if err != nil {
		return nil, err
	}
	t := &transaction{db: db, tx: tx}
	ctx = context.WithoutCancel(ctx)
	if t.head, err = scanHead(tx.StmtContext(ctx, db.stmts.head).QueryRowContext(ctx)); err != nil { //nolint:sqlclosecheck // ends with the transaction
		return nil, errors.Join(wrap("read head", err), t.Rollback())
	}
	return t, nil
}

// Head is events.Tx.
func (t *transaction) Head() events.Head { return t.head }

// SQL is events.Tx.
func (t *transaction) SQL() *sql.Tx { return t.tx }

// Append is events.Tx. It trusts the hashes it is given: Seal made them a
// moment ago, and verify is there for the doubt. A data_redacted event empties
// the events that it names.
func (t *transaction) Append(ctx context.Context, batch []events.Envelope) error {
	if err := t.db.TailError(); err != nil {
		return fmt.Errorf("append: %w", err)
	}
	for i := range batch {
		e := &batch[i]
		if want := t.head.Position + 1 + int64(i); e.Position != want {
			return fmt.Errorf("append position %d, want %d: %w", e.Position, want, events.ErrConflict)
		}
		// Reads by board go by its stream, the only index there is for it.
		if e.BoardID != 0 && e.Stream != events.BoardStream(e.BoardID) {
			return fmt.Errorf("append position %d: an event of board %d is on stream %q", e.Position, e.BoardID, e.Stream)
		}
	}
	if t.db.options.Appended != nil {
		defer t.clock(time.Now(), len(batch))
	}
	ctx = context.WithoutCancel(ctx)
	insert := t.tx.StmtContext(ctx, t.db.stmts.insert) //nolint:sqlclosecheck // ends with the transaction
	for i := range batch {
		e := &batch[i]
		bind(&t.args, e)
		if _, err := insert.ExecContext(ctx, t.args[:]...); taken(err) {
			return fmt.Errorf("append %s version %d: %w", e.Stream, e.Version, events.ErrConflict)
		} else if err != nil {
			return t.db.note(wrap("append", err))
		}
		if err := t.redaction(ctx, e); err != nil {
			return wrap("append", err)
		}
	}
	if len(batch) > 0 {
		t.head, t.full = batch[len(batch)-1].Head(), true
	}
	return nil
}

// bind lays e out in the order of columns.
func bind(args *[width]any, e *events.Envelope) {
	*args = [width]any{
		e.Position, e.Stream, e.Version, string(e.Type), int64(e.Schema), e.ID, e.RecordedAt.UnixMicro(),
		string(e.Actor.Kind), e.Actor.ID, e.Actor.Name, e.CommandID, e.CorrelationID, e.CausationID,
		nil, nil, nil, e.DataSHA[:], e.Hash[:],
		int64(max(e.Chain, 1)), nil,
	}
	if e.ActorSHA != (events.Hash{}) {
		args[19] = e.ActorSHA[:]
	}
	if e.BoardID != 0 {
		args[13] = e.BoardID
	}
	if e.TicketID != 0 {
		args[14] = e.TicketID
	}
	if !e.Redacted() {
		// As text: a STRICT table takes no bytes for it.
		args[15] = string(e.Data)
	}
}

// Commit is events.Tx.
func (t *transaction) Commit() error {
	if t.done {
		return fmt.Errorf("commit: %w", sql.ErrTxDone)
	}
	start := time.Time{}
	if t.db.options.Appended != nil {
		start = time.Now()
	}
	err := t.db.note(wrap("commit", t.end(t.tx.Commit)))
	if err == nil && t.full {
		t.db.trouble.over()
	}
	if err == nil && t.db.options.Appended != nil {
		t.db.options.Appended(t.appended, t.insert, time.Since(start))
	}
	return err
}

// clock notes an Append for Options.Appended.
func (t *transaction) clock(start time.Time, count int) {
	t.appended += count
	t.insert += time.Since(start)
}

// Rollback is events.Tx.
func (t *transaction) Rollback() error {
	if t.done {
		return nil
	}
	return wrap("roll back", t.end(t.tx.Rollback))
}

// end gives the turn to the next writer, whatever became of the transaction.
func (t *transaction) end(how func() error) error {
	t.done = true
	defer t.db.release()
	return how()
}

// Command is events.Ledger.
func (t *transaction) Command(ctx context.Context, id, actor string) (events.CommandRecord, bool, error) {
	ctx = context.WithoutCancel(ctx)
	rec, err := scanCommand(t.tx.StmtContext(ctx, t.db.stmts.ledger).QueryRowContext(ctx, id, actor)) //nolint:sqlclosecheck // ends with the transaction
	if errors.Is(err, sql.ErrNoRows) {
		return events.CommandRecord{}, false, nil
	}
	return rec, err == nil, wrap("read command", err)
}

// Commands is events.Ledger.
func (t *transaction) Commands(ctx context.Context, id string) ([]events.CommandRecord, error) {
	rows, err := t.tx.QueryContext(context.WithoutCancel(ctx), ledgerAllSQL, id)
	if err != nil {
		return nil, wrap("read commands", err)
	}
	defer rows.Close()
	var list []events.CommandRecord
	for rows.Next() {
		rec, err := scanCommand(rows)
		if err != nil {
			return nil, wrap("read commands", err)
		}
		list = append(list, rec)
	}
	return list, wrap("read commands", rows.Err())
}

func scanCommand(row interface{ Scan(...any) error }) (rec events.CommandRecord, err error) {
	var sha []byte
	var at int64
	if err := row.Scan(&rec.ID, &rec.Actor, &sha, &rec.First, &rec.Last, &rec.Stream, &rec.Version, &at); err != nil {
		return rec, err
	}
	rec.RecordedAt = time.UnixMicro(at).UTC()
	rec.RequestSHA, err = hashOf(sha)
	return rec, err
}

// Record is events.Ledger. A command that is recorded already is ErrConflict.
func (t *transaction) Record(ctx context.Context, rec events.CommandRecord) error {
	ctx = context.WithoutCancel(ctx)
	_, err := t.tx.StmtContext(ctx, t.db.stmts.record).ExecContext(ctx, rec.ID, rec.Actor, rec.RequestSHA[:], //nolint:sqlclosecheck // ends with the transaction
		rec.First, rec.Last, rec.Stream, rec.Version, rec.RecordedAt.UnixMicro())
	if taken(err) {
		return fmt.Errorf("record command: it is recorded already: %w", events.ErrConflict)
	}
	return t.db.note(wrap("record command", err))
}

// Snapshot is events.Snapshots.
func (t *transaction) Snapshot(ctx context.Context, stream string, schema int) (events.Snapshot, bool, error) {
	ctx = context.WithoutCancel(ctx)
	snap := events.Snapshot{Stream: stream, Schema: schema}
	row := t.tx.StmtContext(ctx, t.db.stmts.snapshot).QueryRowContext(ctx, stream, schema) //nolint:sqlclosecheck // ends with the transaction
	err := row.Scan(&snap.Version, &snap.Position, &snap.State)
	if errors.Is(err, sql.ErrNoRows) {
		return events.Snapshot{}, false, nil
	}
	if err != nil {
		return events.Snapshot{}, false, wrap("read snapshot", err)
	}
	return snap, true, nil
}

// SaveSnapshot is events.Snapshots.
func (t *transaction) SaveSnapshot(ctx context.Context, snap events.Snapshot) error {
	ctx = context.WithoutCancel(ctx)
	// nil bytes would be NULL.
	state := slices.Concat([]byte{}, snap.State)
	if state == nil {
		state = []byte{}
	}
	_, err := t.tx.StmtContext(ctx, t.db.stmts.save).ExecContext(ctx, snap.Stream, snap.Version, snap.Position, snap.Schema, state) //nolint:sqlclosecheck // ends with the transaction
	return wrap("save snapshot", err)
}

// Heartbeats is events.Heartbeats.
func (t *transaction) Heartbeats(ctx context.Context) ([]events.Heartbeat, error) {
	rows, err := t.tx.QueryContext(context.WithoutCancel(ctx), `SELECT ticket_id, fence, at, expires_at FROM heartbeats ORDER BY ticket_id`)
	if err != nil {
		return nil, wrap("read heartbeats", err)
	}
	defer rows.Close()
	var list []events.Heartbeat
	for rows.Next() {
		var h events.Heartbeat
		var at, expires int64
		if err := rows.Scan(&h.TicketID, &h.Fence, &at, &expires); err != nil {
			return nil, wrap("read heartbeats", err)
		}
		h.At, h.ExpiresAt = time.UnixMicro(at).UTC(), time.UnixMicro(expires).UTC()
		list = append(list, h)
	}
	return list, wrap("read heartbeats", rows.Err())
}

// SaveHeartbeat is events.Heartbeats.
func (t *transaction) SaveHeartbeat(ctx context.Context, h events.Heartbeat) error {
	_, err := t.tx.StmtContext(ctx, t.db.stmts.beat).ExecContext(context.WithoutCancel(ctx), //nolint:sqlclosecheck // ends with the transaction
		h.TicketID, h.Fence, h.At.UnixMicro(), h.ExpiresAt.UnixMicro())
	return t.db.note(wrap("save heartbeat", err))
}

// DropHeartbeat is events.Heartbeats.
func (t *transaction) DropHeartbeat(ctx context.Context, ticket int64) error {
	_, err := t.tx.StmtContext(ctx, t.db.stmts.unbeat).ExecContext(context.WithoutCancel(ctx), ticket) //nolint:sqlclosecheck // ends with the transaction
	return wrap("drop heartbeat", err)
}

// Read is events.Tx.
func (t *transaction) Read(ctx context.Context, q events.Query) ([]events.Envelope, error) {
	ctx = context.WithoutCancel(ctx)
	page, err := read(ctx, q, func(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
		if stmt := t.db.stmts.reads[text]; stmt != nil {
			return t.tx.StmtContext(ctx, stmt).QueryContext(ctx, args...) //nolint:sqlclosecheck // ends with the transaction
		}
		return t.tx.QueryContext(ctx, text, args...)
	})
	return page, wrap("read events", err)
}
