package ops

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// Format is the version of the exported file.
const Format = "kanban-log/1"

// Header is the first line of an exported log.
type Header struct {
	Format string      `json:"format"`
	LogID  string      `json:"log_id"`
	Head   events.Head `json:"head"`
	// Ledger says that the commands follow the events.
	Ledger bool `json:"ledger"`
}

// trailer is the last line: whoever finds it has read everything.
type trailer struct {
	End struct {
		Head     events.Head `json:"head"`
		Events   int64       `json:"events"`
		Commands int64       `json:"commands"`
		// SHA256 is the sum of every byte before this line: it covers what the
		// hash chain does not, the first line and the ledger.
		SHA256 events.Hash `json:"sha256"`
	} `json:"end"`
}

// command is a line of the ledger.
type command struct {
	Command struct {
		ID         string      `json:"id"`
		Actor      string      `json:"actor"`
		RequestSHA events.Hash `json:"request_sha"`
		First      int64       `json:"first"`
		Last       int64       `json:"last"`
		Stream     string      `json:"stream"`
		Version    int64       `json:"version"`
		RecordedAt time.Time   `json:"recorded_at"`
	} `json:"command"`
}

func (c *command) record() events.CommandRecord {
	r := &c.Command
	return events.CommandRecord{
		ID: r.ID, Actor: r.Actor, RequestSHA: r.RequestSHA, First: r.First, Last: r.Last,
		Stream: r.Stream, Version: r.Version, RecordedAt: r.RecordedAt,
	}
}

func line(rec events.CommandRecord) (c command) {
	r := &c.Command
	r.ID, r.Actor, r.RequestSHA, r.First, r.Last = rec.ID, rec.Actor, rec.RequestSHA, rec.First, rec.Last
	r.Stream, r.Version, r.RecordedAt = rec.Stream, rec.Version, rec.RecordedAt
	return c
}

// Progress is called now and then during long work; total is 0 where it is not
// known.
type Progress func(done, total int64)

// every is how many events pass between two calls of a Progress.
const every = 5000

func (p Progress) at(done, total int64) {
	if p != nil && (done%every == 0 || done == total) {
		p(done, total)
	}
}

// database is a log that is kept in SQL tables, as sqlstore.DB is. Besides the
// events it has the ledger of commands.
type database interface {
	// Reader returns a pool for queries.
	Reader() *sql.DB
}

// ledger reads the records of commands up to a position, in the order of their
// keys, a page at a time so that no read stays open.
func ledger(ctx context.Context, db *sql.DB, upTo int64) iter.Seq2[events.CommandRecord, error] {
	const page = `SELECT command_id, actor, request_sha, first_position, last_position, stream, version, recorded_at
		FROM commands WHERE last_position <= ? AND (command_id, actor) > (?, ?) ORDER BY command_id, actor LIMIT 1000`
	read := func(after events.CommandRecord) (records []events.CommandRecord, err error) {
		rows, err := db.QueryContext(ctx, page, upTo, after.ID, after.Actor)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		for rows.Next() {
			var r events.CommandRecord
			var sha []byte
			var at int64
			if err := rows.Scan(&r.ID, &r.Actor, &sha, &r.First, &r.Last, &r.Stream, &r.Version, &at); err != nil {
				return nil, err
			}
			if copy(r.RequestSHA[:], sha) != len(r.RequestSHA) {
				return nil, fmt.Errorf("command %s: request_sha has %d bytes", r.ID, len(sha))
			}
			r.RecordedAt = time.UnixMicro(at).UTC()
			records = append(records, r)
		}
		return records, rows.Err()
	}
	return func(yield func(events.CommandRecord, error) bool) {
		var last events.CommandRecord
		for {
			records, err := read(last)
			if err != nil {
				yield(last, fmt.Errorf("read commands: %w", err))
				return
			}
			for _, r := range records {
				if !yield(r, nil) {
					return
				}
			}
			if len(records) == 0 {
				return
			}
			last = records[len(records)-1]
		}
	}
}

// principal is how the ledger names an actor: two principals may use the same
// command id.
func principal(a events.Actor) string {
	if a.ID == 0 {
		return string(a.Kind) + ":" + a.Name
	}
	return string(a.Kind) + ":" + strconv.FormatInt(a.ID, 10)
}
