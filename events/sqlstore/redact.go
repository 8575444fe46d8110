package sqlstore

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// uncleanKey is the row of meta that says that bytes of what was redacted may
// still lie in the files; its value is the position of the redaction.
const uncleanKey = "redaction_unclean"

// attachKept gives the redacted events of a page what was kept of them.
func attachKept(ctx context.Context, page []events.Envelope, run query) error {
	var positions []int64
	for i := range page {
		if page[i].Redacted() {
			positions = append(positions, page[i].Position)
		}
	}
	if len(positions) == 0 {
		return nil
	}
	list, _ := json.Marshal(positions) // numbers always marshal
	rows, err := run(ctx, "SELECT position, schema, data FROM redacted_events WHERE position IN (SELECT value FROM json_each(?))", string(list))
	if err != nil {
		return err
	}
	defer rows.Close()
	type kept struct {
		schema int
		data   string
	}
	found := make(map[int64]kept, len(positions))
	for rows.Next() {
		var position int64
		var k kept
		if err := rows.Scan(&position, &k.schema, &k.data); err != nil {
			return err
		}
		found[position] = k
	}
	for i := range page {
		if k, ok := found[page[i].Position]; ok && page[i].Redacted() {
			page[i].Kept, page[i].KeptSchema = json.RawMessage(k.data), k.schema
		}
	}
	return rows.Err()
}

// redaction does what an appended event means for redaction, nearly always
// nothing.
func (t *transaction) redaction(ctx context.Context, e *events.Envelope) error {
	if e.Kept != nil { // an import brings what was kept elsewhere
		if err := t.keep(ctx, e.Position, 0, e.KeptSchema, e.Kept); err != nil {
			return err
		}
	}
	if e.Type != events.TypeDataRedacted {
		return nil
	}
	payload, err := e.Payload()
	if err != nil {
		return err
	}
	fact, ok := payload.(events.DataRedacted)
	if !ok {
		return fmt.Errorf("position %d: %T is no redaction", e.Position, payload)
	}
	// What is freed from here on is overwritten; Clean sees to what was before.
	if _, err := t.tx.ExecContext(ctx, "PRAGMA secure_delete = ON"); err != nil {
		return err
	}
	fact.Events = slices.Clone(fact.Events) // the envelope is shared
	if err := t.again(ctx, &fact); err != nil {
		return err
	}
	for i := range fact.Events {
		if err := t.empty(ctx, e.Position, &fact.Events[i]); err != nil {
			return err
		}
	}
	if fact.UserID != 0 {
		if err := t.eraseName(ctx, e.Position, fact.UserID); err != nil {
			return err
		}
	}
	if _, err := t.tx.ExecContext(ctx, "DELETE FROM snapshots"); err != nil {
		return err
	}
	_, err = t.tx.ExecContext(ctx, "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", uncleanKey, strconv.FormatInt(e.Position, 10))
	return err
}

// again finds out what was kept of the events that a redaction names, where it
// comes from elsewhere (an import, a shipped log, a recovery) and this copy has
// events as they were before it.
func (t *transaction) again(ctx context.Context, fact *events.DataRedacted) error {
	name, known := "", fact.UserID == 0
	for i := range fact.Events {
		x := &fact.Events[i]
		if x.Kept != nil {
			continue // decided just now
		}
		page, err := t.Read(ctx, events.Query{After: x.Position - 1, UpTo: x.Position, Limit: 1})
		if err != nil {
			return err
		}
		if len(page) == 0 || page[0].Redacted() && (page[0].Kept == nil || sha256.Sum256(page[0].Kept) == x.SHA) {
			continue
		}
		if !known {
			if name, err = t.userName(ctx, fact.UserID); err != nil {
				return err
			}
			known = true
		}
		if left, ok := fact.Again(&page[0], *x, name); ok {
			x.Kept = left.Kept
		}
	}
	return nil
}

// userName is the name that a user registered with, as this log still has it.
func (t *transaction) userName(ctx context.Context, user int64) (string, error) {
	page, err := t.Read(ctx, events.Query{Stream: events.UserStream(user), Types: []events.Type{events.TypeUserRegistered}, Limit: 1})
	if err != nil || len(page) == 0 {
		return "", err
	}
	fact, err := page[0].Payload()
	if err != nil {
		return "", nil //nolint:nilerr // it is gone as a whole
	}
	f, _ := fact.(events.UserRegistered)
	return f.Name, nil
}

// empty takes the data of one event away.
func (t *transaction) empty(ctx context.Context, by int64, x *events.Emptied) error {
	if x.Position < 1 || x.Position >= by {
		return fmt.Errorf("redact position %d: it is not before the redaction at %d", x.Position, by)
	}
	if _, err := t.tx.ExecContext(ctx, "UPDATE events SET data = NULL WHERE position = ? AND data IS NOT NULL", x.Position); err != nil {
		return err
	}
	if x.Kept == nil {
		return nil // the emptied event came before, with what was kept
	}
	if sha256.Sum256(x.Kept) != x.SHA {
		return fmt.Errorf("redact position %d: what is kept does not match its sum", x.Position)
	}
	return t.keep(ctx, x.Position, by, x.Schema, x.Kept)
}

func (t *transaction) keep(ctx context.Context, position, by int64, schema int, data json.RawMessage) error {
	_, err := t.tx.ExecContext(ctx, "INSERT OR REPLACE INTO redacted_events (position, by_position, schema, data) VALUES (?, ?, ?, ?)",
		position, by, schema, string(data))
	return err
}

// eraseName takes a user's name from the events that they caused. Those of chain
// 1 keep it: their hash covers the name itself.
func (t *transaction) eraseName(ctx context.Context, by, user int64) error {
	const those = ` FROM events WHERE actor_id = ? AND actor_kind <> 'system' AND chain = 2 AND actor_sha IS NULL AND position < ?`
	rows, err := t.tx.QueryContext(ctx, "SELECT DISTINCT actor_name"+those, user, by)
	if err != nil {
		return err
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		names = append(names, name)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, name := range names {
		sha := sha256.Sum256([]byte(name))
		_, err := t.tx.ExecContext(ctx, `UPDATE events SET actor_name = ?, actor_sha = ?
			WHERE position IN (SELECT position`+those+` AND actor_name = ?)`, events.ErasedName(user), sha[:], user, by, name)
		if err != nil {
			return err
		}
	}
	return nil
}

// Unclean returns the position of the last redaction after which Clean has not
// been through, 0 where there is none.
func (db *DB) Unclean(ctx context.Context) (int64, error) {
	var text string
	err := db.readers.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = ?", uncleanKey).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, wrap("read whether a redaction is finished", err)
	}
	return strconv.ParseInt(text, 10, 64)
}

// errReaders: the WAL is still needed by somebody who reads.
var errReaders = errors.New("the write-ahead log is still being read, so redacted text may be left in it; end long reads (exports, kanban tail), then redact again or restart the server")

// Clean makes sure that nothing of what was redacted up to a position is left in
// the database's files: not in pages that are free, not in the write-ahead log.
// It writes the whole file anew, needs as much free space as the database takes,
// and holds up whoever writes meanwhile. The rows of others must have been made
// anew before. Calling it where there is nothing to do costs one read.
func (db *DB) Clean(ctx context.Context, upTo int64) error {
	unclean, err := db.Unclean(ctx)
	if err != nil || unclean == 0 {
		return err
	}
	if err := db.vacuum(ctx); err != nil {
		return wrap("clean the files after a redaction", err)
	}
	return db.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM meta WHERE key = ? AND CAST(value AS INTEGER) <= ?", uncleanKey, upTo)
		return err
	})
}

func (db *DB) vacuum(ctx context.Context) error {
	select {
	case db.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer db.release()
	ctx = context.WithoutCancel(ctx)
	if err := db.setLevel(ctx, durable); err != nil {
		return err
	}
	if _, err := db.writer.ExecContext(ctx, "VACUUM"); err != nil {
		return err
	}
	// Each try waits for readers as long as the busy timeout says.
	const tries = 3
	for range tries {
		var busy, length, copied int
		if err := db.writer.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &length, &copied); err != nil {
			return err
		}
		if busy == 0 {
			_, err := db.writer.ExecContext(ctx, "PRAGMA secure_delete = OFF")
			return err
		}
		select { // a reader may come and go all the time
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return errReaders
}
