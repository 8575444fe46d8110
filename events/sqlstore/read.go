package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// columns of the table in the order of bind and scan.
const columns = `position, stream, version, type, schema, id, recorded_at, actor_kind, actor_id, actor_name,
	command_id, correlation_id, causation_id, board_id, ticket_id, data, data_sha, hash, chain, actor_sha`

// width is the number of columns.
const width = 20

// window is how many rows one statement may pass over when it filters by
// something that has no index. Between two of them the WAL can be checkpointed
// and a cancelled caller is noticed.
const window = 20_000

// query runs one SELECT, on the pool or in a transaction.
type query func(ctx context.Context, text string, args ...any) (*sql.Rows, error)

// span bounds the versions of the stream that is read: above < version <= upTo,
// where zero means unbounded.
type span struct{ above, upTo int64 }

// Head is events.Reader.
func (db *DB) Head(ctx context.Context) (events.Head, error) {
	stmt, err := db.statement(ctx, headSQL) //nolint:sqlclosecheck // kept for the next read
	if err != nil {
		return events.Head{}, wrap("read head", err)
	}
	head, err := scanHead(stmt.QueryRowContext(ctx))
	return head, wrap("read head", err)
}

// Read is events.Reader. A stream, a board and a ticket are found by index;
// other filters alone read the log from After on: narrow them with After and
// UpTo where the log is long.
func (db *DB) Read(ctx context.Context, q events.Query) ([]events.Envelope, error) {
	page, err := read(ctx, q, func(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
		stmt, err := db.statement(ctx, text) //nolint:sqlclosecheck // kept for the next read
		if err != nil {
			return nil, err
		}
		return stmt.QueryContext(ctx, args...)
	})
	return page, wrap("read events", err)
}

// statement returns the prepared form of text. There are only as many texts as
// there are combinations of filters.
func (db *DB) statement(ctx context.Context, text string) (*sql.Stmt, error) {
	if stmt, ok := db.reads.Load(text); ok {
		return stmt.(*sql.Stmt), nil
	}
	// Outside any lock: preparing may wait for a free connection.
	stmt, err := db.readers.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	if earlier, ok := db.reads.LoadOrStore(text, stmt); ok {
		return earlier.(*sql.Stmt), stmt.Close() //nolint:sqlclosecheck // the one kept stays open
	}
	return stmt, nil
}

// read returns one page of q.
func read(ctx context.Context, q events.Query, run query) ([]events.Envelope, error) {
	if q.AfterVersion != 0 && q.Stream == "" {
		return nil, errors.New("a query after a version needs its stream")
	}
	if q.Limit <= 0 {
		q.Limit = events.DefaultLimit
	}
	if q.Stream == "" && q.BoardID != 0 {
		q.Stream = events.BoardStream(q.BoardID)
	}
	if q.Stream != "" {
		versions, err := versionsOf(ctx, &q, run)
		if err != nil {
			return nil, err
		}
		return readPage(ctx, &q, versions, q.Limit, run)
	}
	if q.TicketID != 0 || (q.Until.IsZero() && len(q.Types) == 0 && q.Actor == "" && q.CommandID == "") {
		return readPage(ctx, &q, span{}, q.Limit, run)
	}
	return readWindows(ctx, q, window, run)
}

// readWindows reads by position with filters that no index serves.
func readWindows(ctx context.Context, q events.Query, window int64, run query) ([]events.Envelope, error) {
	var last int64
	if err := one(ctx, run, &last, "SELECT coalesce(max(position), 0) FROM events"); err != nil {
		return nil, err
	}
	if q.UpTo != 0 {
		last = min(last, q.UpTo)
	}
	var found []events.Envelope
	for low := q.After; low < last && len(found) < q.Limit; {
		if q.Descending {
			q.After, q.UpTo = max(low, last-window), last
		} else {
			q.After, q.UpTo = low, min(last, low+window)
		}
		page, err := readPage(ctx, &q, span{}, q.Limit-len(found), run)
		if err != nil {
			return nil, err
		}
		found = append(found, page...)
		if q.Descending {
			last = q.After
		} else {
			low = q.UpTo
		}
	}
	return found, nil
}

// versionsOf turns the bounds of q's positions into bounds of versions, which
// the stream's index has: positions and versions of a stream rise together.
func versionsOf(ctx context.Context, q *events.Query, run query) (span, error) {
	versions := span{above: q.AfterVersion}
	if q.After > 0 {
		version, err := versionAt(ctx, q.Stream, q.After, run)
		if err != nil {
			return span{}, err
		}
		versions.above = max(versions.above, version)
	}
	if q.UpTo > 0 {
		version, err := versionAt(ctx, q.Stream, q.UpTo, run)
		if err != nil {
			return span{}, err
		}
		versions.upTo = version
		if version == 0 {
			versions.upTo = -1 // the stream begins later: nothing, not everything
		}
	}
	return versions, nil
}

// versionAt returns the version the stream had when the log ended at position,
// 0 when it had not begun.
func versionAt(ctx context.Context, stream string, position int64, run query) (int64, error) {
	// Nearly always: the next page of the same stream, which ended there.
	var version int64
	err := one(ctx, run, &version, "SELECT version FROM events WHERE position = ? AND stream = ?", position, stream)
	if err == nil || !errors.Is(err, sql.ErrNoRows) {
		return version, err
	}
	// Going back: the page before began right behind it.
	err = one(ctx, run, &version, "SELECT version FROM events WHERE position = ? AND stream = ?", position+1, stream)
	if err == nil || !errors.Is(err, sql.ErrNoRows) {
		return version - 1, err
	}
	err = one(ctx, run, &version, "SELECT version FROM events WHERE stream = ? ORDER BY version DESC LIMIT 1", stream)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	// Bisection: version low lies at or below the position, high above it.
	low, high := int64(0), version+1
	for high-low > 1 {
		middle := low + (high-low)/2
		var at int64
		err := one(ctx, run, &at, "SELECT position FROM events WHERE stream = ? AND version >= ? ORDER BY version LIMIT 1", stream, middle)
		if err != nil {
			return 0, err
		}
		if at <= position {
			low = middle
		} else {
			high = middle
		}
	}
	return low, nil
}

// one scans the single value that text selects.
func one(ctx context.Context, run query, to *int64, text string, args ...any) error {
	rows, err := run(ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return err
		}
		return sql.ErrNoRows
	}
	return errors.Join(rows.Scan(to), rows.Close())
}

// readPage runs q as one statement.
func readPage(ctx context.Context, q *events.Query, versions span, limit int, run query) (page []events.Envelope, err error) {
	text, args := selectSQL(q, versions, limit)
	rows, err := run(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var cells row
	for rows.Next() {
		if err := rows.Scan(cells.pointers()...); err != nil {
			return nil, err
		}
		e, err := cells.envelope()
		if err != nil {
			return nil, err
		}
		page = append(page, e)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, err
	}
	return page, attachKept(ctx, page, run)
}

// selectSQL writes the statement for q. The index is named, because SQLite has
// no statistics about a table that only grows and would guess.
func selectSQL(q *events.Query, versions span, limit int) (text string, args []any) {
	var b strings.Builder
	b.WriteString("SELECT " + columns + " FROM events")
	order := "position"
	switch {
	case q.Stream != "":
		b.WriteString(" INDEXED BY events_stream")
		order = "version"
	case q.TicketID != 0:
		b.WriteString(" INDEXED BY events_ticket")
	default:
		b.WriteString(" NOT INDEXED")
	}
	glue := " WHERE "
	where := func(condition string, arg any) {
		b.WriteString(glue + condition)
		args = append(args, arg)
		glue = " AND "
	}
	if q.Stream != "" {
		where("stream = ?", q.Stream)
		if versions.above != 0 {
			where("version > ?", versions.above)
		}
		if versions.upTo != 0 {
			where("version <= ?", versions.upTo)
		}
	} else {
		if q.After != 0 {
			where("position > ?", q.After)
		}
		if q.UpTo != 0 {
			where("position <= ?", q.UpTo)
		}
	}
	if q.TicketID != 0 {
		where("ticket_id = ?", q.TicketID)
	}
	if q.BoardID != 0 {
		where("board_id = ?", q.BoardID)
	}
	if !q.Until.IsZero() {
		where("recorded_at <= ?", q.Until.UnixMicro())
	}
	if len(q.Types) > 0 {
		list, _ := json.Marshal(q.Types) // strings always marshal
		where("type IN (SELECT value FROM json_each(?))", string(list))
	}
	if q.Actor != "" {
		where("actor_name = ?", q.Actor)
	}
	if q.CommandID != "" {
		where("command_id = ?", q.CommandID)
	}
	if q.Descending {
		order += " DESC"
	}
	b.WriteString(" ORDER BY " + order + " LIMIT ?")
	return b.String(), append(args, int64(limit))
}

// row is one row as the driver gives it. Scanning into any copies an interface
// and nothing else; into typed variables database/sql would go by reflection.
type row struct {
	cells [width]any
	ptrs  [width]any
}

func (r *row) pointers() []any {
	if r.ptrs[0] == nil {
		for i := range r.cells {
			r.ptrs[i] = &r.cells[i]
		}
	}
	return r.ptrs[:]
}

// envelope reads the cells. The table is STRICT, so a type that is not the
// declared one means a damaged file, not a quirk of SQLite.
func (r *row) envelope() (events.Envelope, error) {
	bad := false
	text := func(i int) string {
		s, ok := r.cells[i].(string)
		bad = bad || !ok
		return s
	}
	number := func(i int) int64 {
		n, ok := r.cells[i].(int64)
		bad = bad || !ok
		return n
	}
	optional := func(i int) int64 {
		if r.cells[i] == nil {
			return 0
		}
		return number(i)
	}
	hash := func(i int) (h events.Hash) {
		b, _ := r.cells[i].([]byte)
		bad = bad || copy(h[:], b) != len(h) || len(b) != len(h)
		return h
	}
	e := events.Envelope{
		Position: number(0), Stream: text(1), Version: number(2), Type: events.Type(text(3)),
		ID: text(5), RecordedAt: time.UnixMicro(number(6)).UTC(),
		Actor:     events.Actor{Kind: events.ActorKind(text(7)), ID: number(8), Name: text(9)},
		CommandID: text(10), CorrelationID: text(11), CausationID: text(12),
		BoardID: optional(13), TicketID: optional(14), DataSHA: hash(16), Hash: hash(17),
	}
	e.Chain = int(number(18))
	if r.cells[19] != nil {
		e.ActorSHA = hash(19)
	}
	schema := number(4)
	if e.Schema = int(schema); schema < math.MinInt32 || schema > math.MaxInt32 {
		bad = true
	}
	if r.cells[15] != nil {
		e.Data = json.RawMessage(text(15))
	}
	if bad {
		return events.Envelope{}, &rowError{position: e.Position}
	}
	return e, nil
}

// scanHead reads the row of headSQL.
func scanHead(r *sql.Row) (events.Head, error) {
	var head events.Head
	var hash []byte
	err := r.Scan(&head.Position, &hash)
	if errors.Is(err, sql.ErrNoRows) {
		return events.Head{}, nil
	}
	if err != nil {
		return events.Head{}, err
	}
	if head.Hash, err = hashOf(hash); err != nil {
		return head, &TailError{Position: head.Position, Err: fmt.Errorf("position %d: %w", head.Position, err)}
	}
	return head, nil
}

func hashOf(b []byte) (h events.Hash, err error) {
	if len(b) != len(h) {
		return h, fmt.Errorf("a hash has %d bytes, want %d: %w", len(b), len(h), events.ErrChainBroken)
	}
	copy(h[:], b)
	return h, nil
}
