package backup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/agent-kanban/agent-kanban/events/sqlstore"

	"github.com/agent-kanban/agent-kanban/ops/machine"
)

// segmentSize is the length at which a segment of a folder is finished and the
// next one begun, in bytes.
const segmentSize = 16 << 20

// Folder is a Sink on a disk, better another one than the log's.
type Folder struct {
	dir   string
	lock  *sqlstore.FileLock
	file  *os.File // the last segment
	size  int64    // of it
	first int64    // in its name
	path  string   // of the log's folder
}

// NewFolder makes a sink of a folder, which is made where it is missing.
func NewFolder(dir string) *Folder { return &Folder{dir: dir} }

var _ Sink = (*Folder)(nil)

func (f *Folder) open(_ context.Context, logID string) (last link, err error) {
	f.path = filepath.Join(f.dir, logID)
	if err := os.MkdirAll(f.path, 0o700); err != nil {
		return last, err
	}
	if f.lock, err = sqlstore.Lock(f.path); err != nil {
		var locked *sqlstore.LockedError
		if errors.As(err, &locked) {
			err = fmt.Errorf("pid %d copies the log to %s already", locked.PID, f.path)
		}
		return last, err
	}
	if last, err = f.resume(); err != nil {
		return last, errors.Join(err, f.close())
	}
	return last, nil
}

// resume opens the last segment and cuts off what a crash has torn.
func (f *Folder) resume() (last link, err error) {
	names, err := segments(f.path)
	if err != nil {
		return last, err
	}
	for len(names) > 0 && last.Format == "" {
		path := filepath.Join(f.path, names[len(names)-1])
		f.first, _ = segmentFirst(names[len(names)-1])
		if f.file, err = os.OpenFile(path, os.O_RDWR, 0); err != nil {
			return last, err
		}
		if last, f.size, err = f.measure(); err != nil {
			return last, err
		}
		if last.Format == "" {
			// Not even its first record is whole: it was just begun.
			err := errors.Join(f.file.Close(), os.Remove(path), machine.SyncFolder(f.path))
			if f.file = nil; err != nil {
				return last, err
			}
			names = names[:len(names)-1]
		}
	}
	return last, nil
}

// measure reads the open segment, and leaves its whole records.
func (f *Folder) measure() (last link, size int64, err error) {
	counter := &counting{r: bufio.NewReaderSize(f.file, 1<<16)}
	for {
		l, _, err := readRecord(counter)
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, errTorn) {
			if err := f.file.Truncate(size); err != nil {
				return last, size, err
			}
			if err := f.file.Sync(); err != nil {
				return last, size, err
			}
			break
		}
		if err != nil {
			return last, size, err
		}
		last, size = l, counter.n
	}
	_, err = f.file.Seek(size, io.SeekStart)
	return last, size, err
}

// counting counts what is read through it.
type counting struct {
	r io.Reader
	n int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (f *Folder) append(_ context.Context, l link, record []byte) (err error) {
	// A segment begins with events, so that its name is taken once.
	fresh := f.file == nil || f.size >= segmentSize && l.First <= l.Last && f.first < l.First
	if fresh {
		if f.file != nil {
			if err := f.file.Close(); err != nil {
				return err
			}
			f.file = nil
		}
		f.size, f.first = 0, l.First
		if f.file, err = os.OpenFile(filepath.Join(f.path, segmentName(l.First)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return err
		}
	}
	if _, err := f.file.Write(record); err != nil {
		return err
	}
	if err := f.file.Sync(); err != nil {
		return err
	}
	f.size += int64(len(record))
	if fresh {
		return machine.SyncFolder(f.path)
	}
	return nil
}

func (f *Folder) close() error {
	var err error
	if f.file != nil {
		err = f.file.Close()
		f.file = nil
	}
	err = errors.Join(err, f.lock.Release())
	f.lock = nil
	return err
}

// segments lists those of a folder in their order.
func segments(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	return sortSegments(names), nil
}
