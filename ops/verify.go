package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// Check names what a finding of Verify is about.
type Check string

// The checks of Verify.
const (
	CheckPosition   Check = "position"   // 1, 2, 3, … without gaps
	CheckChain      Check = "chain"      // the hash continues the row before; the data has its sum
	CheckVersion    Check = "version"    // 1, 2, 3, … in each stream
	CheckTime       Check = "time"       // never goes back in a stream
	CheckPayload    Check = "payload"    // can be decoded
	CheckRedaction  Check = "redaction"  // what was redacted is gone, and what was kept of it is what its redaction says
	CheckLedger     Check = "ledger"     // each event's command is recorded, each record has its events
	CheckCheckpoint Check = "checkpoint" // no read model is ahead of the log
	CheckReadModel  Check = "read_model" // rows equal a fold of the log
	CheckHead       Check = "head"       // the log contains a head that was kept outside
)

// Problem is one finding of Verify.
type Problem struct {
	Position int64  `json:"position,omitempty"` // 0 where it is not about one event
	Check    Check  `json:"check"`
	Detail   string `json:"detail"`
}

// KeptHead is a head that was kept outside of the database, to tell when the
// end of the log was cut off: a shorter chain is in itself sound.
type KeptHead struct {
	LogID    string      `json:"log_id"`
	Position int64       `json:"position"`
	Hash     events.Hash `json:"hash"`
}

// VerifyOptions of Verify. What is nil is not checked.
type VerifyOptions struct {
	// Head is what the log must contain.
	Head *KeptHead
	// Checkpoints returns how far each read model has come.
	Checkpoints func(ctx context.Context) (map[string]int64, error)
	// Compare folds the log and compares the read models with it; it returns one
	// line per difference.
	Compare  func(ctx context.Context) ([]string, error)
	Progress Progress
	// MaxProblems is how many findings are kept, 100 when 0; all are counted.
	MaxProblems int
}

// Verification is the result of Verify.
type Verification struct {
	LogID    string        `json:"log_id"`
	Head     events.Head   `json:"head"`
	Events   int64         `json:"events"`
	Streams  int           `json:"streams"`
	Redacted int64         `json:"redacted"`
	Commands int64         `json:"commands"` // records of the ledger, 0 where there is none
	Checks   []Check       `json:"checks"`   // that were made
	Problems []Problem     `json:"problems"` // the first MaxProblems
	Total    int           `json:"problems_total"`
	Took     time.Duration `json:"took_ns"`

	most int
}

// OK reports whether nothing was found.
func (v *Verification) OK() bool { return v.Total == 0 }

func (v *Verification) problem(position int64, check Check, format string, args ...any) {
	v.Total++
	if len(v.Problems) < v.most {
		v.Problems = append(v.Problems, Problem{Position: position, Check: check, Detail: fmt.Sprintf(format, args...)})
	}
}

// stream is what Verify remembers of a stream.
type stream struct {
	version int64
	at      time.Time
}

// Verify checks the whole log, from the first event to the head it has when it
// starts, and what depends on it. It only reads, a page at a time, so a server
// may run meanwhile. An error means that the log could not be read; damage is
// in the result.
func Verify(ctx context.Context, log events.Reader, opts VerifyOptions) (*Verification, error) {
	start := time.Now()
	v := &Verification{LogID: log.LogID(), Problems: []Problem{}, most: opts.MaxProblems}
	if v.most == 0 {
		v.most = 100
	}
	var err error
	if v.Head, err = log.Head(ctx); err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	v.Checks = []Check{CheckPosition, CheckChain, CheckVersion, CheckTime, CheckPayload, CheckRedaction}
	kept, err := v.events(ctx, log, opts)
	if err != nil {
		return v, fmt.Errorf("verify: %w", err)
	}
	if opts.Head != nil {
		v.Checks = append(v.Checks, CheckHead)
		v.head(*opts.Head, kept)
	}
	if db, ok := log.(database); ok {
		v.Checks = append(v.Checks, CheckLedger)
		if err := v.ledger(ctx, db.Reader(), log); err != nil {
			return v, fmt.Errorf("verify: %w", err)
		}
	}
	if opts.Checkpoints != nil {
		v.Checks = append(v.Checks, CheckCheckpoint)
		if err := v.checkpoints(ctx, log, opts.Checkpoints); err != nil {
			return v, fmt.Errorf("verify: %w", err)
		}
	}
	if opts.Compare != nil {
		v.Checks = append(v.Checks, CheckReadModel)
		differences, err := opts.Compare(ctx)
		if err != nil {
			return v, fmt.Errorf("verify: compare read models: %w", err)
		}
		for _, d := range differences {
			v.problem(0, CheckReadModel, "%s", d)
		}
	}
	v.Took = time.Since(start)
	return v, nil
}

// events checks each event and returns the hash found at the position of the
// kept head, nil where there is no such event.
func (v *Verification) events(ctx context.Context, log events.Reader, opts VerifyOptions) (kept *events.Hash, err error) {
	streams := map[string]stream{}
	emptied, err := redactions(ctx, log, v.Head.Position)
	if err != nil {
		return nil, err
	}
	var head events.Head
	for e, err := range events.All(ctx, log, events.Query{UpTo: v.Head.Position}) {
		if v.Head.Position == 0 {
			break // zero means no limit to a Query: an event was just appended
		}
		if err != nil {
			return nil, err
		}
		v.Events++
		if e.Position != head.Position+1 {
			v.problem(head.Position+1, CheckPosition, "positions %d to %d are missing", head.Position+1, e.Position-1)
			// Each row names only its own hash, so the link across a gap cannot be
			// checked; the chain goes on from here.
		} else if err := events.Check(head, e); err != nil {
			v.problem(e.Position, CheckChain, "%s", err)
		}
		head = e.Head()
		v.inStream(streams, e)
		if x, ok := emptied[e.Position]; ok && !e.Redacted() {
			v.problem(e.Position, CheckRedaction, "%s", x.CheckKept(e))
		}
		switch _, err := e.Payload(); {
		case errors.Is(err, events.ErrRedacted):
			v.Redacted++
			if _, ok := emptied[e.Position]; ok {
				v.problem(e.Position, CheckRedaction, "what its redaction left is missing")
			}
		case err == nil && e.Redacted():
			v.Redacted++
			v.redacted(e, emptied)
		case err != nil:
			v.problem(e.Position, CheckPayload, "%s", err)
		}
		if opts.Head != nil && opts.Head.Position == e.Position {
			kept = &e.Hash
		}
		opts.Progress.at(e.Position, v.Head.Position)
	}
	if head != v.Head {
		v.problem(head.Position, CheckPosition, "the log ends here, but its head is at position %d", v.Head.Position)
	}
	v.Streams = len(streams)
	return kept, nil
}

// redactions returns what every redacted position was left with, by the last
// redaction of it.
func redactions(ctx context.Context, log events.Reader, head int64) (map[int64]events.Emptied, error) {
	emptied := map[int64]events.Emptied{}
	if head == 0 {
		return emptied, nil
	}
	for e, err := range events.All(ctx, log, events.Query{UpTo: head, Types: []events.Type{events.TypeDataRedacted}}) {
		if err != nil {
			return nil, err
		}
		fact, err := e.Payload()
		if err != nil {
			continue // the payload's own check says so
		}
		if f, ok := fact.(events.DataRedacted); ok {
			for _, x := range f.Events {
				emptied[x.Position] = x
			}
		}
	}
	return emptied, nil
}

// redacted checks an event that has something in the place of its data.
func (v *Verification) redacted(e *events.Envelope, emptied map[int64]events.Emptied) {
	x, ok := emptied[e.Position]
	if !ok {
		v.problem(e.Position, CheckRedaction, "the data is gone, but no redaction says so; what stands in its place is unproven")
		return
	}
	if err := x.CheckKept(e); err != nil {
		v.problem(e.Position, CheckRedaction, "%s", err)
	}
}

func (v *Verification) inStream(streams map[string]stream, e *events.Envelope) {
	s := streams[e.Stream]
	if e.Version != s.version+1 {
		v.problem(e.Position, CheckVersion, "%s: version %d follows %d", e.Stream, e.Version, s.version)
	}
	if e.RecordedAt.Before(s.at) {
		v.problem(e.Position, CheckTime, "%s: recorded at %s, before the event before it at %s", e.Stream,
			e.RecordedAt.Format(time.RFC3339Nano), s.at.Format(time.RFC3339Nano))
	}
	streams[e.Stream] = stream{version: e.Version, at: e.RecordedAt}
}

// head compares with what was kept outside.
func (v *Verification) head(want KeptHead, got *events.Hash) {
	switch {
	case want.LogID != v.LogID:
		v.problem(0, CheckHead, "the kept head is of log %s, this is log %s", want.LogID, v.LogID)
	case want.Position > v.Head.Position:
		v.problem(v.Head.Position, CheckHead, "the log was cut off: it ends at position %d, but once it reached %d", v.Head.Position, want.Position)
	case want.Position == 0:
	case got == nil:
		v.problem(want.Position, CheckHead, "the event of the kept head is missing")
	case *got != want.Hash:
		v.problem(want.Position, CheckHead, "the log was rewritten: hash %s, but once it was %s", got, want.Hash)
	}
}

func (v *Verification) checkpoints(ctx context.Context, log events.Reader, read func(context.Context) (map[string]int64, error)) error {
	checkpoints, err := read(ctx)
	if err != nil {
		return fmt.Errorf("read checkpoints: %w", err)
	}
	// The head after the checkpoints: both move on while a server runs.
	head, err := log.Head(ctx)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(checkpoints)) {
		if position := checkpoints[name]; position > head.Position {
			v.problem(0, CheckCheckpoint, "%s has come to position %d, but the log ends at %d: rebuild it", name, position, head.Position)
		}
	}
	return nil
}

// ReadHead reads a kept head: {"log_id": …, "position": …, "hash": …}.
func ReadHead(r io.Reader) (KeptHead, error) {
	var head KeptHead
	if err := json.NewDecoder(r).Decode(&head); err != nil {
		return head, fmt.Errorf("read kept head: %w", err)
	}
	if head.LogID == "" || head.Position < 0 || head.Position > 0 && head.Hash == (events.Hash{}) {
		return head, errors.New("read kept head: want {\"log_id\": …, \"position\": …, \"hash\": …}")
	}
	return head, nil
}

// WriteJSON writes the result as one indented JSON object.
func (v *Verification) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// WriteText writes the result for people.
func (v *Verification) WriteText(w io.Writer) error {
	text := fmt.Appendf(nil, "log %s\n%d events in %d streams, %d redacted, %d commands; %v\nhead: position %d, hash %s\n",
		v.LogID, v.Events, v.Streams, v.Redacted, v.Commands, v.Took.Round(time.Millisecond), v.Head.Position, v.Head.Hash)
	if v.OK() {
		text = fmt.Appendf(text, "ok: %v\n", v.Checks)
	}
	for _, p := range v.Problems {
		if p.Position != 0 {
			text = fmt.Appendf(text, "position %d: ", p.Position)
		}
		text = fmt.Appendf(text, "%s: %s\n", p.Check, p.Detail)
	}
	if more := v.Total - len(v.Problems); more > 0 {
		text = fmt.Appendf(text, "and %d more\n", more)
	}
	_, err := w.Write(text)
	return err
}
