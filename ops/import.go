package ops

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/agent-kanban/agent-kanban/events"
)

// Errors of Import.
var (
	// ErrNotEmpty: the log to import into has events already.
	ErrNotEmpty = errors.New("the log is not empty; an import needs an empty data directory")
	// ErrBadExport: the file is no export, or damaged, or cut off. The error
	// names the line.
	ErrBadExport = errors.New("not a complete, undamaged export")
)

// Restorer is a log that can be restored.
type Restorer interface {
	events.Reader
	// Restore runs fill in one transaction on the empty log and makes logID its
	// id; when fill fails, nothing is kept. It returns events.ErrConflict where
	// the log is not empty.
	Restore(ctx context.Context, logID string, fill func(ctx context.Context, tx events.Tx) error) error
}

// ImportOptions of Import.
type ImportOptions struct {
	Progress Progress
}

// maxLine bounds one line: the largest event is a text of 64 KiB, at worst six
// bytes per character in JSON.
const maxLine = 4 << 20

// Import restores the log that r holds, as Export wrote it, into the empty log
// to: the same id, events, hashes and ledger. Every line is checked against the
// hash chain before it is appended, and the transaction is committed only when
// the last line has confirmed that the file is complete: damaged or cut-off
// input leaves the log as empty as it was. The error (ErrBadExport) names the
// line, and the position up to which the file was good.
func Import(ctx context.Context, to Restorer, r io.Reader, opts ImportOptions) (events.Head, error) {
	if head, err := to.Head(ctx); err != nil {
		return head, fmt.Errorf("import: %w", err)
	} else if head.Position > 0 {
		return head, fmt.Errorf("import: %w", ErrNotEmpty)
	}
	in := &lines{scanner: bufio.NewScanner(r), hash: sha256.New()}
	in.scanner.Buffer(make([]byte, 1<<16), maxLine)
	in.scanner.Split(whole)
	header, err := in.header()
	if err != nil {
		return events.Head{}, in.damage(err)
	}
	in.progress, in.said = opts.Progress, header
	err = to.Restore(ctx, header.LogID, func(inner context.Context, tx events.Tx) error {
		in.stopped = ctx.Err
		return in.restore(inner, tx)
	})
	switch {
	case errors.Is(err, ErrBadExport):
		return events.Head{}, err
	case errors.Is(err, events.ErrConflict):
		return events.Head{}, fmt.Errorf("import: %w: %w", ErrNotEmpty, err)
	case err != nil:
		return events.Head{}, fmt.Errorf("import: %w", err)
	}
	return in.head, nil
}

// lines reads an export.
type lines struct {
	scanner  *bufio.Scanner
	number   int       // of the line read last
	hash     hash.Hash // of every line before the one read last
	last     []byte    // that line
	head     events.Head
	commands int64
	ledger   bool // lines of the ledger have begun
	said     Header
	progress Progress
	stopped  func() error // tells when the caller wants no more
}

// next returns the next line, io.EOF at the end.
func (l *lines) next() ([]byte, error) {
	l.number++
	l.hash.Write(l.last)
	l.last = nil
	if l.scanner.Scan() {
		l.last = l.scanner.Bytes()
		if text, ok := bytes.CutSuffix(l.last, []byte("\n")); ok {
			return text, nil
		}
		return nil, errors.New("the line is cut off")
	}
	if err := l.scanner.Err(); err != nil {
		return nil, err
	}
	return nil, io.EOF
}

// whole splits into lines with their ends, so that every byte is accounted for.
func whole(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i+1], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

func (l *lines) damage(err error) error {
	if errors.Is(err, io.EOF) {
		err = errors.New("the file ends here; the rest is missing")
	}
	return fmt.Errorf("import: line %d: %w: %w (the file is good up to position %d; nothing was imported)",
		l.number, ErrBadExport, err, l.head.Position)
}

func (l *lines) header() (Header, error) {
	var header Header
	text, err := l.next()
	if err != nil {
		return header, err
	}
	if err := json.Unmarshal(text, &header); err != nil {
		return header, fmt.Errorf("this is not the first line of an export: %w", err)
	}
	if header.Format != Format {
		return header, fmt.Errorf("the format is %q, want %q", header.Format, Format)
	}
	if header.LogID == "" {
		return header, errors.New("there is no log_id")
	}
	return header, nil
}

// restore appends everything that follows the header.
func (l *lines) restore(ctx context.Context, tx events.Tx) error {
	const size = 1000
	batch := make([]events.Envelope, 0, size)
	derived := &derivation{}
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := tx.Append(ctx, batch)
		batch = batch[:0]
		return err
	}
	for {
		if err := l.stopped(); err != nil {
			return err
		}
		text, err := l.next()
		if err != nil {
			return l.damage(err)
		}
		switch {
		case bytes.HasPrefix(text, []byte(`{"end":`)):
			if err := l.finish(text); err != nil {
				return l.damage(err)
			}
			if err := flush(); err != nil {
				return err
			}
			return derived.flush(ctx, tx)
		case bytes.HasPrefix(text, []byte(`{"command":`)):
			rec, err := l.command(text)
			if err != nil {
				return l.damage(err)
			}
			if err := tx.Record(ctx, rec); errors.Is(err, events.ErrConflict) {
				return l.damage(err)
			} else if err != nil {
				return err
			}
		default:
			e, err := l.event(text)
			if err != nil {
				return l.damage(err)
			}
			if !l.said.Ledger {
				if err := derived.add(ctx, tx, &e); err != nil {
					return err
				}
			}
			if batch = append(batch, e); len(batch) == size {
				if err := flush(); errors.Is(err, events.ErrConflict) {
					return l.damage(err)
				} else if err != nil {
					return err
				}
			}
		}
	}
}

func (l *lines) event(text []byte) (events.Envelope, error) {
	var e events.Envelope
	if l.ledger {
		return e, errors.New("an event after the commands")
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return e, err
	}
	if err := events.Check(l.head, &e); err != nil {
		return e, err
	}
	// What is not in the hash is in the bytes: a line that reads back as another
	// one was changed.
	if !bytes.Equal(e.JSON(), text) {
		return e, fmt.Errorf("position %d: the line was changed", e.Position)
	}
	l.head = e.Head()
	l.progress.at(l.head.Position, l.said.Head.Position)
	return e, nil
}

func (l *lines) command(text []byte) (events.CommandRecord, error) {
	var c command
	if err := json.Unmarshal(text, &c); err != nil {
		return events.CommandRecord{}, err
	}
	rec := c.record()
	if rec.ID == "" || rec.First < 0 || rec.Last < rec.First || rec.Last > l.head.Position {
		return rec, fmt.Errorf("command %q is about positions %d to %d, which the file does not have", rec.ID, rec.First, rec.Last)
	}
	l.ledger = true
	l.commands++
	return rec, nil
}

func (l *lines) finish(text []byte) error {
	var t trailer
	if err := json.Unmarshal(text, &t); err != nil {
		return err
	}
	if sum := events.Hash(l.hash.Sum(nil)); t.End.SHA256 != sum {
		return fmt.Errorf("the last line says that the lines before have the sum %s, but it is %s", t.End.SHA256, sum)
	}
	if t.End.Head != l.said.Head {
		return fmt.Errorf("the first line says that the log ends at position %d, the last line at %d", l.said.Head.Position, t.End.Head.Position)
	}
	if t.End.Head != l.head || t.End.Events != l.head.Position || t.End.Commands != l.commands {
		return fmt.Errorf("the last line says %d events and %d commands up to hash %s, but there are %d and %d up to %s",
			t.End.Events, t.End.Commands, t.End.Head.Hash, l.head.Position, l.commands, l.head.Hash)
	}
	if extra, err := l.next(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("there is more after the last line: %q (%w)", extra[:min(len(extra), 40)], err)
	}
	return nil
}

// derivation makes the ledger of an export that has none: one record per run of
// events of the same command. What was asked is not known then, so a repeat is
// answered as a reused key: refused, and never carried out twice.
type derivation struct{ record events.CommandRecord }

func (d *derivation) add(ctx context.Context, tx events.Tx, e *events.Envelope) error {
	r, actor := &d.record, principal(e.Actor)
	if r.ID != e.CommandID || r.Actor != actor {
		if err := d.flush(ctx, tx); err != nil {
			return err
		}
		d.record = events.CommandRecord{ID: e.CommandID, Actor: actor, First: e.Position}
	}
	r.Last, r.Stream, r.Version, r.RecordedAt = e.Position, e.Stream, e.Version, e.RecordedAt
	return nil
}

func (d *derivation) flush(ctx context.Context, tx events.Tx) error {
	if d.record.ID == "" {
		return nil
	}
	return tx.Record(ctx, d.record)
}
