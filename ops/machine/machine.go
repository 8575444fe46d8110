// Package machine asks the machine what operators watch: free disk space,
// memory, sizes of files. It stands on Linux, and says so elsewhere.
//
//	space, err := machine.Disk("/var/lib/kanban")
//	if err == nil && space.Free < 1<<30 { … }
package machine

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Space of a file system, in bytes. Free is what this process may still use.
type Space struct {
	Free  int64 `json:"free_bytes"`
	Total int64 `json:"total_bytes"`
}

// Used returns the part in use, 0 to 1.
func (s Space) Used() float64 {
	if s.Total == 0 {
		return 0
	}
	return 1 - float64(s.Free)/float64(s.Total)
}

// Disk returns the space of the file system that holds path.
func Disk(path string) (Space, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return Space{}, fmt.Errorf("space of %s: %w", path, err)
	}
	size := int64(st.Bsize) //nolint:unconvert // int32 on some machines
	return Space{Free: int64(st.Bavail) * size, Total: int64(st.Blocks) * size}, nil
}

// SyncFolder makes the names in a folder survive a power cut.
func SyncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Memory of this process, in bytes.
type Memory struct {
	RSS  int64 `json:"rss_bytes"`      // in RAM now
	Peak int64 `json:"peak_rss_bytes"` // the most there ever was
}

// ProcessMemory reads /proc/self/status.
func ProcessMemory() (Memory, error) {
	file, err := os.Open("/proc/self/status")
	if err != nil {
		return Memory{}, fmt.Errorf("memory of the process: %w", err)
	}
	defer file.Close()
	var m Memory
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		to := map[string]*int64{"VmRSS": &m.RSS, "VmHWM": &m.Peak}[name]
		if to == nil {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return m, fmt.Errorf("memory of the process: %s: %w", name, err)
		}
		*to = kib << 10
	}
	if err := lines.Err(); err != nil {
		return m, fmt.Errorf("memory of the process: %w", err)
	}
	return m, nil
}

// FileSize returns the size of a file in bytes, 0 where there is none. It never
// opens it: closing a live database drops the locks that SQLite holds on it.
func FileSize(path string) (int64, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// FolderSize adds up the files in a folder and below, 0 where there is none.
// What vanishes meanwhile is not counted.
func FolderSize(path string) (int64, error) {
	var size int64
	err := filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}
