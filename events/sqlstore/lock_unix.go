//go:build unix

package sqlstore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// FileLock is the right to serve one data directory.
type FileLock struct {
	mu   sync.Mutex
	file *os.File
}

// Lock takes DATA_DIR/LOCK for this process and writes its pid there. It does
// not wait: while another process holds the directory the error is a
// *LockedError with that process's pid. The kernel frees the lock when the
// process ends, however it ends, so the file itself is never removed: a name
// that disappears can be locked twice.
func Lock(dir string) (*FileLock, error) {
	path := filepath.Join(dir, "LOCK")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer file.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock data directory: %w", err)
		}
		text, _ := io.ReadAll(io.LimitReader(file, 32))
		pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		return nil, &LockedError{Path: dir, PID: pid}
	}
	// Written before the rest is cut off, so that whoever reads in between
	// never sees an empty file.
	text := strconv.Itoa(os.Getpid()) + "\n"
	if _, err = file.WriteAt([]byte(text), 0); err == nil {
		err = file.Truncate(int64(len(text)))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write pid into %s: %w", path, err), file.Close())
	}
	return &FileLock{file: file}, nil
}

// Release gives the directory free. It is safe to call twice and on nil.
func (l *FileLock) Release() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}
