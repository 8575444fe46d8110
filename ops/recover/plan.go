package recover

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// Report says what could be put together, what came from where, and what not.
type Report struct {
	LogID   string         `json:"log_id"`
	NewID   bool           `json:"new_log_id,omitempty"` // the old one was nowhere to be found
	Head    events.Head    `json:"head"`                 // of the log that the chain proves
	Sources []SourceReport `json:"sources"`
	// Ranges say which positions came from which source; only the first
	// maxRanges are told.
	Ranges []Range `json:"ranges"`
	// Lost are events whose data no copy holds any more: who did what kind of
	// thing and when is known, not the content.
	Lost      []Event `json:"data_lost"`
	LostTotal int64   `json:"data_lost_total"`
	// KeptLost counts events that were redacted and of which what was left is lost.
	KeptLost int64 `json:"kept_lost,omitempty"`
	// Gaps are positions that no copy holds although one holds later ones.
	Gaps []Gap `json:"gaps"`
	// Beyond counts events that exist and cannot be in the log: what comes
	// before them is missing, or another history took their place.
	Beyond int64 `json:"beyond"`
	Forked int64 `json:"forked"` // of those, of another history
	// Tables are the rows of other tables that could be read.
	Tables map[string]int64 `json:"tables,omitempty"`
	// Files are those in which what is beyond was saved.
	Files []string `json:"files,omitempty"`
}

// Complete reports whether nothing is missing.
func (r *Report) Complete() bool {
	return r.LostTotal == 0 && r.KeptLost == 0 && len(r.Gaps) == 0 && r.Beyond == 0
}

// Range of positions and where they came from.
type Range struct {
	From   int64  `json:"from"`
	To     int64  `json:"to"`
	Source string `json:"source"`
}

// Event is what is known of one.
type Event struct {
	Position int64       `json:"position"`
	Type     events.Type `json:"type"`
	Stream   string      `json:"stream"`
	At       time.Time   `json:"at"`
	Actor    string      `json:"actor"`
}

// Gap in the log: its positions, and between which events it lies.
type Gap struct {
	From   int64     `json:"from"`
	To     int64     `json:"to"`
	After  time.Time `json:"after,omitzero"`  // the event before it
	Before time.Time `json:"before,omitzero"` // the one behind it
}

const (
	maxRanges = 1000
	// States of a row in the scratch database.
	stateChosen = 1 // is in the log
	stateBeyond = 2 // exists and is not
)

// walk is the way along the chain.
type walk struct {
	s      *Scratch
	report *Report
	head   events.Head
	at     time.Time // of the head
	ended  bool      // nothing continues the chain any more
	last   int64     // position of the last row that is beyond
	lastAt time.Time
	ends   []end // at the position before
	marks  []mark
	gone   []events.Emptied
}

type mark struct{ id, state int64 }

// Plan finds, from the first position on, the event that continues the chain.
// Where two do, the one from the more trusted source is taken.
func (s *Scratch) Plan(ctx context.Context) (*Report, error) {
	w := &walk{s: s, report: &Report{Sources: s.sources, Ranges: []Range{}, Lost: []Event{}, Gaps: []Gap{}}}
	var group []candidate
	var after, afterID int64
	for {
		page, err := s.candidates(ctx, after, afterID, 200)
		if err != nil {
			return nil, fmt.Errorf("recover: plan: %w", err)
		}
		for _, c := range page {
			if len(group) > 0 && group[0].event.Position != c.event.Position {
				w.position(group)
				group = group[:0]
			}
			group = append(group, c)
			after, afterID = c.event.Position, c.id
		}
		if len(page) == 0 && len(group) > 0 {
			w.position(group)
		}
		if err := w.flush(ctx); err != nil {
			return nil, fmt.Errorf("recover: plan: %w", err)
		}
		if len(page) == 0 {
			break
		}
	}
	if err := s.settle(ctx, w.report); err != nil {
		return nil, fmt.Errorf("recover: plan: %w", err)
	}
	w.report.Head = w.head
	s.report = w.report
	return w.report, nil
}

// position takes all rows of one position.
func (w *walk) position(group []candidate) {
	position := group[0].event.Position
	slices.SortStableFunc(group, func(a, b candidate) int { return cmp.Or(a.source-b.source, int(a.kind-b.kind)) })
	if position != w.head.Position+1 {
		w.ended = true
	}
	best := -1
	if !w.ended {
		best = slices.IndexFunc(group, func(c candidate) bool { return proven(w.head, &c) })
		w.ended = best < 0
	}
	before := w.head
	if best >= 0 {
		// The same event from a less trusted source may hold more of it, or less
		// where it was redacted.
		for i := range group {
			a, b := &group[i], &group[best]
			if a.event.Hash == b.event.Hash && (a.kind < b.kind || a.kind == b.kind && a.erased() && !b.erased()) && proven(w.head, a) {
				best = i
			}
		}
		w.choose(&group[best])
	}
	var ends []end
	told := map[events.Hash]bool{}
	if best >= 0 {
		told[group[best].event.Hash] = true
	}
	// The most complete of each first, however little its source is trusted.
	slices.SortStableFunc(group, func(a, b candidate) int { return int(a.kind - b.kind) })
	take := func(c *candidate, fork bool) {
		told[c.event.Hash] = true
		ends = append(ends, end{c.event.Head(), fork})
		if fork {
			w.report.Forked++
		}
		w.beyond(c)
	}
	var doubtful []*candidate
	for i := range group {
		c := &group[i]
		if c.event.Stream == "" || told[c.event.Hash] {
			continue
		}
		follows := slices.IndexFunc(w.ends, func(e end) bool { return proven(e.head, c) })
		switch {
		case best >= 0 && proven(before, c):
			take(c, true)
		case follows >= 0:
			take(c, w.ends[follows].fork)
		case w.ended && c.kind == whole:
			doubtful = append(doubtful, c)
		}
	}
	// Nothing proves these, nor that they are damaged: what comes before them is
	// missing. All of them are kept.
	for _, c := range doubtful {
		if !told[c.event.Hash] {
			ends = append(ends, end{c.event.Head(), false})
			w.beyond(c)
		}
	}
	w.ends = ends
}

// end is that of a run of events that are not in the log.
type end struct {
	head events.Head
	fork bool // it branches off the log
}

// proven reports whether the chain proves that c follows head.
func proven(head events.Head, c *candidate) bool {
	if c.event.Stream == "" {
		return false
	}
	return events.Check(head, &c.event) == nil
}

// erased reports whether the actor's name was, which must not be undone either.
func (c *candidate) erased() bool { return c.event.ActorSHA != (events.Hash{}) }

func (w *walk) choose(c *candidate) {
	e, r := &c.event, w.report
	w.head, w.at = e.Head(), e.RecordedAt
	w.marks = append(w.marks, mark{c.id, stateChosen})
	w.emptied(e)
	if c.kind == lost {
		if r.LostTotal++; r.LostTotal <= maxRanges {
			r.Lost = append(r.Lost, Event{e.Position, e.Type, e.Stream, e.RecordedAt, string(e.Actor.Kind) + " " + e.Actor.Name})
		}
	}
	name := w.s.sources[c.source].Name
	if n := len(r.Ranges); n > 0 && r.Ranges[n-1].Source == name && r.Ranges[n-1].To == e.Position-1 {
		r.Ranges[n-1].To = e.Position
	} else if n < maxRanges {
		r.Ranges = append(r.Ranges, Range{e.Position, e.Position, name})
	}
}

func (w *walk) beyond(c *candidate) {
	e, r := &c.event, w.report
	if w.ended && e.Position > w.head.Position {
		after, at := max(w.last, w.head.Position), w.lastAt
		if w.last <= w.head.Position {
			at = w.at
		}
		if e.Position > after+1 && len(r.Gaps) < maxRanges {
			r.Gaps = append(r.Gaps, Gap{From: after + 1, To: e.Position - 1, After: at, Before: e.RecordedAt})
		}
	}
	w.last, w.lastAt = e.Position, e.RecordedAt
	r.Beyond++
	w.marks = append(w.marks, mark{c.id, stateBeyond})
}

func (w *walk) flush(ctx context.Context) error {
	if len(w.marks) == 0 {
		return nil
	}
	tx, err := w.s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, m := range w.marks {
		if _, err := tx.ExecContext(ctx, "UPDATE rows SET state = ? WHERE rowid = ?", m.state, m.id); err != nil {
			return err
		}
	}
	for _, x := range w.gone { // the last redaction of a position counts
		if _, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO emptied (position, schema, sha) VALUES (?, ?, ?)", x.Position, x.Schema, x.SHA[:]); err != nil {
			return err
		}
	}
	w.marks, w.gone = w.marks[:0], nil
	return tx.Commit()
}
