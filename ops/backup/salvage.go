package backup

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"github.com/agent-kanban/agent-kanban/events"
)

// Salvage returns the events of every record of a shipped log that is still
// whole, whatever is damaged or missing between them. Nothing checks that they
// continue each other: that is for who puts a log together of several copies. An
// error tells of a place that could not be read and does not end it, but for the
// end of ctx, a folder that cannot be listed, and ErrEncrypted.
func Salvage(ctx context.Context, from Shipped) iter.Seq2[*Row, error] {
	return func(yield func(*Row, error) bool) {
		from.salvage(ctx, func(rows []Row, _ []sideRow, err error) bool {
			for i := range rows {
				if !yield(&rows[i], nil) {
					return false
				}
			}
			return err == nil || yield(nil, fmt.Errorf("read the shipped log in %s: %w", from.folder(), err))
		})
	}
}

// SalvageSides applies what a shipped log tells beside the events (passwords,
// tokens, webhooks) to a database into which older rows were copied. What cannot
// be read is passed over. SettleSides belongs after it.
func SalvageSides(ctx context.Context, from Shipped, tx *sql.Tx) (err error) {
	from.salvage(ctx, func(_ []Row, beside []sideRow, _ error) bool {
		for i := range beside {
			if err = beside[i].apply(ctx, tx); err != nil && !errors.Is(err, ErrDamaged) {
				return false
			}
		}
		err = nil
		return true
	})
	return errors.Join(err, ctx.Err())
}

// salvage hands over each record until each returns false.
func (s *Shipped) salvage(ctx context.Context, each func([]Row, []sideRow, error) bool) {
	names, err := segments(s.folder())
	if err != nil {
		each(nil, nil, err)
		return
	}
	for _, name := range names {
		if !s.salvageSegment(ctx, filepath.Join(s.folder(), name), each) {
			return
		}
	}
}

func (s *Shipped) salvageSegment(ctx context.Context, path string, each func([]Row, []sideRow, error) bool) (more bool) {
	file, err := os.Open(path)
	if err != nil {
		return each(nil, nil, err)
	}
	defer file.Close()
	told := false // of the damage that is being passed over
	for at := int64(0); at >= 0; {
		in := &counting{r: bufio.NewReaderSize(io.NewSectionReader(file, at, 1<<62), 1<<16)}
		begin := at
		for {
			if err := ctx.Err(); err != nil {
				each(nil, nil, err)
				return false
			}
			l, payload, err := readRecord(in)
			if errors.Is(err, io.EOF) {
				return true
			}
			if err != nil {
				if !told && !each(nil, nil, fmt.Errorf("%w: %s: byte %d: %w", ErrDamaged, filepath.Base(path), begin, err)) {
					return false
				}
				told = true
				break
			}
			told, begin = false, at+in.n
			rows, beside, err := s.decode(l, payload)
			if !each(rows, beside, err) || errors.Is(err, ErrEncrypted) {
				return false
			}
		}
		at = nextRecord(file, begin+1)
	}
	return true
}

// nextRecord finds where the next record may begin, -1 where none does.
func nextRecord(file io.ReaderAt, from int64) int64 {
	magic := binary.LittleEndian.AppendUint32(nil, skippable)
	buf := make([]byte, 1<<16)
	for {
		n, err := file.ReadAt(buf, from)
		if i := bytes.Index(buf[:n], magic); i >= 0 {
			return from + int64(i)
		}
		if errors.Is(err, io.EOF) {
			return -1
		}
		if n < len(magic) {
			from += 4096 // the disk cannot read this
			if _, err := file.ReadAt(buf[:1], from); errors.Is(err, io.EOF) {
				return -1
			}
			continue
		}
		from += int64(n - len(magic) + 1)
	}
}

// LogIDs lists the logs that a folder of shipped logs holds.
func LogIDs(dir string) (ids []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		if names, err := segments(filepath.Join(dir, entry.Name())); err == nil && len(names) > 0 {
			ids = append(ids, entry.Name())
		}
	}
	return ids, nil
}

// ShippedHead returns where the newest segment of a shipped log in a folder ends,
// without opening what is sealed; the zero head where there is none.
func ShippedHead(from Shipped) (head events.Head, err error) {
	names, err := segments(from.folder())
	if errors.Is(err, os.ErrNotExist) || err == nil && len(names) == 0 {
		return head, nil
	}
	if err != nil {
		return head, err
	}
	file, err := os.Open(filepath.Join(from.folder(), names[len(names)-1]))
	if err != nil {
		return head, err
	}
	defer file.Close()
	in := bufio.NewReaderSize(file, 1<<16)
	for {
		l, _, err := readRecord(in)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, errTorn) && head.Position > 0: // one may be on its way
			return head, nil
		case err != nil:
			return head, fmt.Errorf("%s: %w", names[len(names)-1], err)
		}
		head = l.head()
	}
}
