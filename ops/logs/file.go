package logs

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/DeRuina/timberjack"
)

const (
	maxSize  = 50 // MiB, of one file
	maxAge   = 90 // days
	maxFiles = 200
	daily    = 24 * time.Hour
)

// file is a log that rotates by itself, and can be reopened. The data directory
// has a link to it under its name. A file is made with its first line.
type file struct {
	dir, name string // the data directory, and the name in its folder "logs"
	mu        sync.Mutex
	out       *timberjack.Logger
}

func newFile(dataDir, name string) *file {
	f := &file{dir: dataDir, name: name}
	f.out = f.open()
	return f
}

func (f *file) path() string   { return filepath.Join(f.dir, "logs", f.name) }
func (f *file) target() string { return filepath.Join("logs", f.name) }

func (f *file) open() *timberjack.Logger {
	return &timberjack.Logger{
		Filename: f.path(), FileMode: 0o640, MaxSize: maxSize, MaxAge: maxAge, MaxBackups: maxFiles,
		RotationInterval: daily, Compression: "gzip",
	}
}

// Write appends a line.
func (f *file) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.out.Write(p)
}

// reopen makes the next lines go to a file of the same name, which somebody may
// have moved away. Who moved the link of the data directory away instead wanted
// the lines: they are put, compressed, where the link went.
func (f *file) reopen() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	// A closed timberjack.Logger opens and closes its file for every line.
	err := f.out.Close()
	f.out = f.open()
	return errors.Join(err, f.follow(), f.link())
}

// link makes the data directory's link where nothing has its name.
func (f *file) link() error {
	err := os.Symlink(f.target(), filepath.Join(f.dir, f.name))
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// follow moves the lines of the log to where its link was moved, if it was.
func (f *file) follow() error {
	if _, err := os.Lstat(filepath.Join(f.dir, f.name)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	archive := filepath.Join(f.dir, "logs", "archive")
	entries, err := os.ReadDir(archive)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		moved := filepath.Join(archive, entry.Name())
		if target, err := os.Readlink(moved); err != nil || target != f.target() {
			continue
		}
		if err := os.Rename(f.path(), moved); errors.Is(err, fs.ErrNotExist) {
			return os.Remove(moved) // no line was written
		} else if err != nil {
			return err
		}
		return compress(moved)
	}
	return nil
}

// compress replaces a file by its .gz.
func compress(path string) (err error) {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(path+".gz", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("compress a log that was moved: %w", err)
	}
	defer func() {
		if err = errors.Join(err, out.Close()); err != nil {
			err = errors.Join(err, os.Remove(out.Name()))
			return
		}
		err = os.Remove(path)
	}()
	pack := gzip.NewWriter(out)
	if _, err := io.Copy(pack, in); err != nil {
		return err
	}
	return pack.Close()
}

func (f *file) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.out.Close()
}
