package ops

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"

	"github.com/agent-kanban/agent-kanban/events"
)

// ExportOptions of Export.
type ExportOptions struct {
	Progress Progress
}

// Export writes the whole log to w, up to the head it has when the export
// starts, and returns that head. It reads page by page, so that memory stays
// bounded and a running server is not held up. See the package comment for the
// format. An event that does not continue the chain ends the export with an
// error that wraps events.ErrChainBroken: a damaged log is not passed on.
func Export(ctx context.Context, log events.Reader, w io.Writer, opts ExportOptions) (events.Head, error) {
	end, err := log.Head(ctx)
	if err != nil {
		return end, fmt.Errorf("export: %w", err)
	}
	hash := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(w, hash), 1<<16)
	db, hasLedger := log.(database)
	if err := writeLine(out, Header{Format: Format, LogID: log.LogID(), Head: end, Ledger: hasLedger}); err != nil {
		return end, err
	}
	var last trailer
	head := events.Head{}
	for e, err := range events.All(ctx, log, events.Query{UpTo: end.Position}) {
		if end.Position == 0 {
			break // zero means no limit to a Query: an event was just appended
		}
		if err == nil {
			err = events.Check(head, e)
		}
		if err != nil {
			return end, fmt.Errorf("export: %w", err)
		}
		if _, err := out.Write(e.JSON()); err != nil {
			return end, fmt.Errorf("export: %w", err)
		}
		if err := out.WriteByte('\n'); err != nil {
			return end, fmt.Errorf("export: %w", err)
		}
		head = e.Head()
		opts.Progress.at(head.Position, end.Position)
	}
	if head != end {
		return end, fmt.Errorf("export: the log ends at position %d instead of %d: %w", head.Position, end.Position, events.ErrChainBroken)
	}
	if hasLedger {
		for rec, err := range ledger(ctx, db.Reader(), end.Position) {
			if err != nil {
				return end, fmt.Errorf("export: %w", err)
			}
			if err := writeLine(out, line(rec)); err != nil {
				return end, err
			}
			last.End.Commands++
		}
	}
	if err := out.Flush(); err != nil {
		return end, fmt.Errorf("export: %w", err)
	}
	last.End.Head, last.End.Events, last.End.SHA256 = head, head.Position, events.Hash(hash.Sum(nil))
	if err := writeLine(out, last); err != nil {
		return end, err
	}
	if err := out.Flush(); err != nil {
		return end, fmt.Errorf("export: %w", err)
	}
	return end, nil
}

func writeLine(w *bufio.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}
