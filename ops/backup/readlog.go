package backup

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"github.com/agent-kanban/agent-kanban/events"
)

// Shipped is a shipped log in a folder.
type Shipped struct {
	Dir string
	// LogID says which, where Dir holds several; "" = Dir itself holds segments.
	LogID string
	// Identities open it where it is sealed.
	Identities []age.Identity
}

// ReadLog returns the events of a shipped log from the position after a head, in
// order, each one checked to continue the chain; the zero head is the beginning.
// It ends without an error at a record that a crash has torn, if nothing follows
// it; where the copy ends before the head there is nothing. Errors: ErrNoMoment where the log begins later, ErrDiverged where it has
// another event at the head, ErrDamaged, ErrEncrypted.
func ReadLog(ctx context.Context, from Shipped, after events.Head) iter.Seq2[*Row, error] {
	return func(yield func(*Row, error) bool) {
		err := from.walk(ctx, after, func(row *Row) bool { return yield(row, nil) }, func([]sideRow) error { return nil })
		if err != nil {
			yield(nil, fmt.Errorf("read the shipped log in %s: %w", from.folder(), err))
		}
	}
}

func (s *Shipped) folder() string { return filepath.Join(s.Dir, s.LogID) }

// walk yields rows until yield returns false, and hands over what is beside them.
func (s *Shipped) walk(ctx context.Context, after events.Head, yield func(*Row) bool, beside func([]sideRow) error) error {
	names, err := segments(s.folder())
	if err != nil {
		return err
	}
	w := walker{shipped: s, head: after, yield: yield, beside: beside}
	for i, name := range names {
		if i+1 < len(names) {
			if next, _ := segmentFirst(names[i+1]); next <= after.Position {
				continue // the head is in a later one
			}
		}
		w.last = i+1 == len(names)
		if done, err := w.segment(ctx, filepath.Join(s.folder(), name)); done || err != nil {
			return err
		}
	}
	return nil
}

// walker follows the records.
type walker struct {
	shipped *Shipped
	yield   func(*Row) bool
	beside  func([]sideRow) error
	head    events.Head // of what was yielded
	links   events.Head // of the record before
	seen    bool        // a record was
	last    bool        // in the last segment
}

func (w *walker) segment(ctx context.Context, path string) (done bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	in := bufio.NewReaderSize(hurried(ctx).reader(file), 1<<16)
	for {
		l, payload, err := readRecord(in)
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if errors.Is(err, errTorn) && w.last {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("%w: %s: %w", ErrDamaged, filepath.Base(path), err)
		}
		if id := w.shipped.LogID; id != "" && l.LogID != id {
			return false, fmt.Errorf("%w: %s is of log %s, want %s", ErrDiverged, filepath.Base(path), l.LogID, id)
		}
		if w.seen && l.before() != w.links {
			return false, fmt.Errorf("%w: %s: the record of position %d does not continue the one before, which ends at %d", ErrDamaged, filepath.Base(path), l.First, w.links.Position)
		}
		w.links, w.seen = l.head(), true
		if done, err := w.record(l, payload); done || err != nil {
			return done, err
		}
	}
}

// record yields the rows of a record that are after the head.
func (w *walker) record(l link, payload []byte) (done bool, err error) {
	switch {
	case l.Last < w.head.Position:
		return false, nil
	case l.Last == w.head.Position && l.First <= l.Last:
		if l.Hash != w.head.Hash {
			return true, fmt.Errorf("%w: at position %d", ErrDiverged, l.Last)
		}
		return false, nil
	case l.First > w.head.Position+1:
		return true, fmt.Errorf("%w: it begins at position %d, and the backup ends at %d", ErrNoMoment, l.First, w.head.Position)
	case l.First == w.head.Position+1 && l.Previous != w.head.Hash:
		return true, fmt.Errorf("%w: at position %d", ErrDiverged, w.head.Position)
	}
	rows, beside, err := w.shipped.decode(l, payload)
	if err != nil {
		return true, err
	}
	if err := w.beside(beside); err != nil {
		return true, err
	}
	for i := range rows {
		e := &rows[i].Event
		if e.Position < w.head.Position {
			continue
		}
		if e.Position == w.head.Position {
			if e.Hash != w.head.Hash {
				return true, fmt.Errorf("%w: at position %d", ErrDiverged, e.Position)
			}
			continue
		}
		if err := events.Check(w.head, e); err != nil {
			return true, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		w.head = e.Head()
		if !w.yield(&rows[i]) {
			return true, nil
		}
	}
	return false, nil
}

// decode reads the payload of a record.
func (s *Shipped) decode(l link, payload []byte) (rows []Row, beside []sideRow, err error) {
	in := io.Reader(bytes.NewReader(payload))
	if l.Sealed {
		if len(s.Identities) == 0 {
			return nil, nil, fmt.Errorf("%w: give the file of its secret key with --identity", ErrEncrypted)
		}
		plain, err := age.Decrypt(in, s.Identities...)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: none of the keys in --identity opens it", ErrEncrypted)
		}
		in = plain
	}
	unpacked, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		return nil, nil, damaged(err)
	}
	defer unpacked.Close()
	rows = make([]Row, 0, min(l.Last-l.First+1, recordEvents))
	lines := json.NewDecoder(unpacked)
	for {
		var text json.RawMessage
		if err := lines.Decode(&text); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, nil, damaged(err)
		}
		var c commandLine
		if bytes.HasPrefix(text, []byte(`{"row":`)) {
			if err := json.Unmarshal(text, &c); err != nil || c.Row == nil {
				return nil, nil, damaged(errors.Join(err, errors.New("a row cannot be read")))
			}
			beside = append(beside, *c.Row)
			continue
		}
		if bytes.HasPrefix(text, []byte(`{"command":`)) {
			if err := json.Unmarshal(text, &c); err != nil || c.Command == nil || len(rows) == 0 {
				return nil, nil, damaged(errors.Join(err, errors.New("a command has no place")))
			}
			last := &rows[len(rows)-1]
			r := c.Command
			last.Commands = append(last.Commands, events.CommandRecord{
				ID: r.ID, Actor: r.Actor, RequestSHA: r.RequestSHA, First: r.First, Last: r.Last,
				Stream: r.Stream, Version: r.Version, RecordedAt: time.UnixMicro(r.RecordedAt).UTC(),
			})
			continue
		}
		var row Row
		if err := row.Event.UnmarshalJSON(text); err != nil {
			return nil, nil, damaged(err)
		}
		rows = append(rows, row)
	}
	if n := int64(len(rows)); n != l.Last-l.First+1 {
		return nil, nil, fmt.Errorf("%w: the record of position %d holds %d events, want %d", ErrDamaged, l.First, n, l.Last-l.First+1)
	}
	return rows, beside, nil
}
