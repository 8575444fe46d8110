package recover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/agent-kanban/agent-kanban/events"
)

// marker is how every event begins in its one JSON form.
var marker = []byte(`{"specversion":"1.0","id":`)

// maxEvent bounds one event as JSON: the largest is a text of 64 KiB, at worst
// six bytes per character.
const maxEvent = 4 << 20

// Text yields the events that stand in r in their JSON form, with anything
// between them: the lines of an export, the blocks of a stream. What is cut off
// or damaged is passed over.
func Text(ctx context.Context, r io.Reader) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		in := &window{r: r}
		for in.seek(marker) {
			if err := ctx.Err(); err != nil {
				yield(Row{}, err)
				return
			}
			text := in.object()
			var e events.Envelope
			if text == nil || e.UnmarshalJSON(text) != nil || e.Position < 1 {
				in.skip(len(marker))
				continue
			}
			e.Data = bytes.Clone(e.Data) // before the window moves on
			in.skip(len(text))
			if !yield(Row{Event: e}, nil) {
				return
			}
		}
		if in.err != nil && !errors.Is(in.err, io.EOF) {
			yield(Row{}, in.err)
		}
	}
}

// window is the part of a file that is looked at: buf[start:].
type window struct {
	r     io.Reader
	buf   []byte
	start int
	err   error // of the last read
}

func (w *window) rest() []byte { return w.buf[w.start:] }

// more reads on and reports whether there was anything.
func (w *window) more() bool {
	if w.err != nil {
		return false
	}
	const chunk = 256 << 10
	if w.start >= chunk {
		w.buf = append(w.buf[:0], w.rest()...)
		w.start = 0
	}
	old := len(w.buf)
	w.buf = append(w.buf, make([]byte, chunk)...)
	n, err := io.ReadFull(w.r, w.buf[old:])
	w.buf = w.buf[:old+n]
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	w.err = err
	return n > 0
}

func (w *window) skip(n int) { w.start += n }

// seek moves to the next place where what stands.
func (w *window) seek(what []byte) bool {
	for {
		if i := bytes.Index(w.rest(), what); i >= 0 {
			w.skip(i)
			return true
		}
		w.skip(max(0, len(w.rest())-len(what)+1))
		if !w.more() {
			return false
		}
	}
}

// object returns the JSON object at the start of the window, nil where it does
// not end or is none.
func (w *window) object() []byte {
	depth, quoted := 0, false
	for i := 0; i < maxEvent; i++ {
		for i >= len(w.rest()) {
			if !w.more() {
				return nil
			}
		}
		switch c := w.rest()[i]; {
		case c < 0x20: // our JSON is in one line, and strings never hold these
			return nil
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				return w.rest()[:i+1]
			}
		}
	}
	return nil
}

// Folder is the source of every file below dir whose name ends with suffix: the
// blocks of a stream (".blk"), saved events (".jsonl"). A folder that is not
// there holds nothing.
func Folder(name, dir, suffix string) Source {
	return Source{Name: name, Rows: func(ctx context.Context) iter.Seq2[Row, error] {
		return func(yield func(Row, error) bool) {
			stopped := false
			err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
				switch {
				case errors.Is(err, fs.ErrNotExist):
					return nil
				case err != nil:
					stopped = !yield(Row{}, err)
				case d.Type().IsRegular() && strings.HasSuffix(path, suffix):
					stopped = !textFile(ctx, path, yield)
				}
				if stopped {
					return fs.SkipAll
				}
				return nil
			})
			if err != nil && !stopped {
				yield(Row{}, err)
			}
		}
	}}
}

func textFile(ctx context.Context, path string, yield func(Row, error) bool) bool {
	file, err := os.Open(path)
	if err != nil {
		return yield(Row{}, err)
	}
	defer file.Close()
	for row, err := range Text(ctx, file) {
		if err != nil {
			err = fmt.Errorf("%s: %w", path, err)
		}
		if !yield(row, err) {
			return false
		}
	}
	return true
}
