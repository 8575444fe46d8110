// Package audit counts in log files what a security audit asks for: who failed to
// sign in, who was slowed down, what the server could not do. It imports nothing
// of ours and never keeps more than a bounded number of addresses.
//
//	counts, err := audit.Logs(ctx, "/var/lib/kanban/logs", since)
//	if counts.FailedLogins > 0 { … counts.Worst … }
package audit

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Counts are what the logs say. Requests and Statuses come from access.log, the
// others from backend.log.
type Counts struct {
	Files        int              `json:"files"`
	Requests     int64            `json:"requests"`
	Statuses     map[string]int64 `json:"statuses"` // "2xx" to "5xx"
	FailedLogins int64            `json:"failed_logins"`
	Refused      int64            `json:"refused"` // 401 and 403 besides failed logins
	RateLimited  int64            `json:"rate_limited"`
	ServerErrors int64            `json:"server_errors"`
	// Peers are the addresses with failed logins.
	Peers map[string]int64 `json:"-"`
}

// Peer is an address and how often it failed.
type Peer struct {
	Address string `json:"address"`
	Failed  int64  `json:"failed_logins"`
}

// Worst returns the addresses with the most failed logins, n at most.
func (c *Counts) Worst(n int) []Peer {
	list := make([]Peer, 0, len(c.Peers))
	for address, failed := range c.Peers {
		list = append(list, Peer{address, failed})
	}
	slices.SortFunc(list, func(a, b Peer) int {
		if a.Failed != b.Failed {
			return int(b.Failed - a.Failed)
		}
		return strings.Compare(a.Address, b.Address)
	})
	return list[:min(n, len(list))]
}

const (
	maxPeers = 10_000
	maxLine  = 1 << 20
)

// Logs reads backend.log and access.log in dir, rotated and compressed ones and
// those in archive/ included, as far as they are not older than since.
func Logs(ctx context.Context, dir string, since time.Time) (*Counts, error) {
	c := &Counts{Statuses: map[string]int64{}, Peers: map[string]int64{}}
	var errs []error
	for _, kind := range []struct {
		name string
		line func(*Counts, string, time.Time)
	}{{"backend", (*Counts).backend}, {"access", (*Counts).access}} {
		for _, folder := range []string{dir, filepath.Join(dir, "archive")} {
			paths, err := filepath.Glob(filepath.Join(folder, kind.name+`[\-_.]*`))
			if err != nil {
				return nil, fmt.Errorf("audit: %w", err)
			}
			for _, path := range paths {
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				errs = append(errs, c.file(path, since, kind.line))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return c, fmt.Errorf("audit: %w", err)
	}
	return c, nil
}

func (c *Counts) file(path string, since time.Time, line func(*Counts, string, time.Time)) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // rotated away meanwhile
	}
	if err != nil || !info.Mode().IsRegular() || info.ModTime().Before(since) {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	c.Files++
	in := io.Reader(file)
	if strings.HasSuffix(path, ".gz") {
		unzip, err := gzip.NewReader(file)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		in = unzip
	}
	lines := bufio.NewReaderSize(in, 64<<10)
	for {
		text, err := readLine(lines)
		if text != "" {
			line(c, text, since)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
}

// readLine returns the next line, cut to maxLine.
func readLine(r *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part[:min(len(part), maxLine-len(line))]...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return string(line), err
		}
	}
}

// completed is the line of a request that failed. What stands in a path cannot
// look like it: a path has no spaces.
var completed = regexp.MustCompile(`request completed: principal \S+ peer (\S+) ([A-Z]+) (\S+) status (\d{3})\b`)

// times in front of a line, or as an attribute of one in JSON.
var (
	stamp   = regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d`)
	clfTime = regexp.MustCompile(`\[(\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\]`)
)

// old reports whether the line is from before since. One without a time is not.
func old(text string, since time.Time) bool {
	at, err := time.Parse("2006-01-02T15:04:05", strings.Replace(stamp.FindString(text), " ", "T", 1))
	return err == nil && at.Before(since)
}

func (c *Counts) backend(text string, since time.Time) {
	m := completed.FindStringSubmatch(text)
	if m == nil || old(text[:min(len(text), 80)], since) {
		return
	}
	peer, path, status := m[1], strings.TrimSuffix(m[3], "/"), m[4]
	switch {
	case status == "401" && strings.HasPrefix(path, "/api/auth/login"):
		c.FailedLogins++
		if _, known := c.Peers[peer]; known || len(c.Peers) < maxPeers {
			c.Peers[peer]++
		}
	case status == "401", status == "403":
		c.Refused++
	case status == "429":
		c.RateLimited++
	case status[0] == '5':
		c.ServerErrors++
	}
}

func (c *Counts) access(text string, since time.Time) {
	fields := strings.Fields(text)
	if len(fields) < 9 || len(fields[8]) != 3 || fields[8][0] < '1' || fields[8][0] > '5' {
		return
	}
	if m := clfTime.FindStringSubmatch(text); m != nil {
		if at, err := time.Parse("02/Jan/2006:15:04:05 -0700", m[1]); err == nil && at.Before(since) {
			return
		}
	}
	c.Requests++
	c.Statuses[fields[8][:1]+"xx"]++
}
