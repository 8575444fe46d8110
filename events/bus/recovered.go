package bus

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/agent-kanban/agent-kanban/events"
)

// save writes the stream's events from…last that the log does not hold to a
// file of RecoveredDir, one line of JSON each, and says so. The stream may be
// deleted only after it returned without an error.
func (r *Relay) save(ctx context.Context, stream jetstream.Stream, from, last int64, head events.Head) error {
	err := os.MkdirAll(r.config.RecoveredDir, 0o700)
	if err != nil {
		return fmt.Errorf("save what only the stream holds: %w", err)
	}
	out, err := os.CreateTemp(r.config.RecoveredDir, ".saving-*")
	if err != nil {
		return fmt.Errorf("save what only the stream holds: %w", err)
	}
	defer os.Remove(out.Name()) //nolint:errcheck // gone after the rename
	defer out.Close()           //nolint:errcheck // closed and checked below
	found, err := r.write(ctx, stream, out, from, last, head)
	if err != nil {
		return fmt.Errorf("save what only the stream holds: %w", err)
	}
	if err := errors.Join(out.Sync(), out.Close()); err != nil {
		return fmt.Errorf("save what only the stream holds: %w", err)
	}
	if found.unreadable > 0 {
		r.config.Logger.Error("events of the stream that the log does not hold cannot be read",
			"events", found.unreadable, "from", from, "to", last)
	}
	if found.first == 0 {
		return nil // nothing was left to save
	}
	file, err := place(out.Name(), filepath.Join(r.config.RecoveredDir, fmt.Sprintf("events-%d-%d", found.first, found.last)))
	if err != nil {
		return fmt.Errorf("save what only the stream holds: %w", err)
	}
	r.status.recovered(file)
	r.config.Logger.Error("the stream holds acknowledged events that the log lacks: they were saved",
		"file", file, "from", found.first, "to", found.last, "continues_log", found.chained, "head", head.Position)
	return nil
}

// findings are what write came across.
type findings struct {
	first, last int64 // saved, 0 = none
	chained     bool  // they continue the log's head, link by link
	unreadable  int64
}

func (r *Relay) write(ctx context.Context, stream jetstream.Stream, out *os.File, from, last int64, head events.Head) (findings, error) {
	found := findings{chained: from == head.Position+1}
	buf := bufio.NewWriter(out)
	previous := head
	for position := from; position <= last; position++ {
		msg, err := r.message(ctx, stream, position)
		if err != nil {
			return found, err
		}
		if msg == nil {
			found.unreadable++
			found.chained = false
			continue
		}
		if position <= head.Position {
			// Between damaged messages there may be some that the log has as well.
			row, err := r.row(ctx, position)
			if err != nil {
				return found, err
			}
			if row.Hash.String() == msg.Header.Get(HeaderHash) {
				continue
			}
		}
		var e events.Envelope
		if found.chained {
			err := e.UnmarshalJSON(msg.Data)
			found.chained = err == nil && events.Check(previous, &e) == nil
			previous = e.Head()
		}
		if found.first == 0 {
			found.first = position
		}
		found.last = position
		buf.Write(msg.Data) //nolint:errcheck // Flush returns it
		buf.WriteByte('\n') //nolint:errcheck // the same
	}
	return found, buf.Flush()
}

// place gives the file its name without replacing another one: what was saved
// before may differ. It returns the name.
func place(temporary, stem string) (string, error) {
	content, err := os.ReadFile(temporary)
	if err != nil {
		return "", err
	}
	for n := 1; ; n++ {
		file := stem + ".jsonl"
		if n > 1 {
			file = fmt.Sprintf("%s-%d.jsonl", stem, n)
		}
		before, err := os.ReadFile(file)
		switch {
		case err == nil && bytes.Equal(before, content):
			return file, nil // saved before a crash
		case err == nil:
			continue
		case !errors.Is(err, os.ErrNotExist):
			return "", err
		}
		if err := os.Rename(temporary, file); err != nil {
			return "", err
		}
		return file, syncDir(filepath.Dir(file))
	}
}

// syncDir makes a new name survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// savedFiles lists what earlier runs saved and nobody took away since.
func savedFiles(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "events-*.jsonl"))
	slices.Sort(files)
	return files, err
}
