package readmodel

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/agent-kanban/agent-kanban/events"
)

// MinPulse and MaxPulse bound the buckets of a Pulse.
const (
	MinPulse = 10
	MaxPulse = 500
)

// Pulse is how much happened on a board over its life; the JSON of
// /api/boards/{id}/pulse. The buckets are equal in time, from the first event to
// the last; there are fewer than asked for where the life of the board has fewer
// microseconds.
type Pulse struct {
	Position int64         `json:"position"`
	BoardID  int64         `json:"board_id"`
	First    Moment        `json:"first"`
	Last     Moment        `json:"last"`
	Total    int64         `json:"total"` // events
	Buckets  []PulseBucket `json:"buckets"`
}

// Moment is an event's place in the log and its time.
type Moment struct {
	Position int64     `json:"position"`
	At       time.Time `json:"at"`
}

// PulseBucket is a span of time that begins at At and ends where the next one
// begins. Position is that of the last event in or before it: what the board was
// at its end. Count is how many events are in it.
type PulseBucket struct {
	At       time.Time `json:"at"`
	Position int64     `json:"position"`
	Count    int64     `json:"count"`
}

// versionMoment finds an event by the stream's index.
const versionMoment = `SELECT position, recorded_at FROM events WHERE stream = ? AND version = ?`

// Pulse counts the events of a board in so many buckets. It looks events up where
// a bucket may end, not at all of them: some thousand for a board of any size.
func (q *Queries) Pulse(ctx context.Context, board int64, buckets int) (Pulse, error) {
	if buckets < MinPulse || buckets > MaxPulse {
		return Pulse{}, invalid("buckets", fmt.Sprintf("must be between %d and %d", MinPulse, MaxPulse))
	}
	p := Pulse{BoardID: board}
	err := q.view(ctx, func(tx bun.Tx) error {
		if err := tx.StmtContext(ctx, q.stmt.position).QueryRowContext(ctx).Scan(&p.Position); err != nil { //nolint:sqlclosecheck // ends with the transaction
			return err
		}
		stream := events.BoardStream(board)
		if err := tx.Tx.QueryRowContext(ctx, lastVersion, stream, p.Position).Scan(&p.Total); err != nil {
			return err
		}
		stmt, err := tx.PrepareContext(ctx, versionMoment)
		if err != nil {
			return err
		}
		defer stmt.Close()
		return p.spread(int64(buckets), func(version int64) (m moment, err error) {
			return m, stmt.QueryRowContext(ctx, stream, version).Scan(&m.position, &m.micros)
		})
	})
	if err != nil {
		return Pulse{}, fmt.Errorf("read the pulse of a board: %w", err)
	}
	return p, nil
}

// moment is a Moment as the log has it.
type moment struct{ position, micros int64 }

func (m moment) view() Moment {
	return Moment{Position: m.position, At: time.UnixMicro(m.micros).UTC()}
}

// spread fills everything but Position, BoardID and Total, which is there. Versions
// have no gaps and times rise with them, so that a range of versions whose ends are
// in one bucket is in it as a whole, and any other is halved.
func (p *Pulse) spread(n int64, look func(version int64) (moment, error)) error {
	first, err := look(1)
	if err != nil {
		return err
	}
	last, err := look(p.Total)
	if err != nil {
		return err
	}
	p.First, p.Last = first.view(), last.view()
	span := max(0, last.micros-first.micros) + 1
	n = min(n, span)
	type end struct {
		version, bucket, position int64
	}
	ends := make([]end, n) // the last event in or before each bucket
	var halve func(low, high end) error
	halve = func(low, high end) error {
		if low.bucket == high.bucket {
			return nil
		}
		if high.version-low.version == 1 {
			for i := low.bucket; i < high.bucket; i++ {
				ends[i] = low
			}
			return nil
		}
		version := low.version + (high.version-low.version)/2
		m, err := look(version)
		if err != nil {
			return err
		}
		// A time out of order would be a fault elsewhere, and must be none here.
		bucket := min(max((m.micros-first.micros)*n/span, low.bucket), high.bucket)
		middle := end{version, bucket, m.position}
		if err := halve(low, middle); err != nil {
			return err
		}
		return halve(middle, high)
	}
	ends[n-1] = end{p.Total, n - 1, last.position}
	if err := halve(end{1, 0, first.position}, ends[n-1]); err != nil {
		return err
	}
	p.Buckets = make([]PulseBucket, n)
	before := int64(0)
	for i := range n {
		p.Buckets[i] = PulseBucket{
			At:       time.UnixMicro(first.micros + (i*span+n-1)/n).UTC(),
			Position: ends[i].position, Count: ends[i].version - before,
		}
		before = ends[i].version
	}
	return nil
}
