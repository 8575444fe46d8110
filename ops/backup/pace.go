package backup

import (
	"context"
	"io"
	"io/fs"
	"os"
	"time"
)

// A backup has no hurry, and shares the machine with a server whose callers do: it
// works in turns of about workTurn and rests after each. One processor is then free
// much of the time, and nobody waits longer than a turn.
const workTurn = 300 * time.Microsecond

// pace is told of every small piece of work, and rests when a turn is over. It is for
// one goroutine.
type pace struct {
	ctx   context.Context
	began time.Time
	share int // how many times as long as it works it rests; 0 = never
}

// easy is for what nobody waits for.
func easy(ctx context.Context) *pace { return &pace{ctx: ctx, began: time.Now(), share: 3} }

// brisk is for what holds a snapshot of a database: as long, its WAL only grows.
func brisk(ctx context.Context) *pace { return &pace{ctx: ctx, began: time.Now(), share: 1} }

// hurried is for when nobody else works.
func hurried(ctx context.Context) *pace { return &pace{ctx: ctx} }

// step returns the error of the context.
func (p *pace) step() error {
	if p.share == 0 {
		return p.ctx.Err()
	}
	worked := time.Since(p.began)
	if worked < workTurn {
		return p.ctx.Err()
	}
	err := rest(p.ctx, time.Duration(p.share)*worked)
	p.began = time.Now()
	return err
}

// reader is r, in steps of up to 64 KiB; it ends when the context does.
func (p *pace) reader(r io.Reader) io.Reader { return &pacedReader{p, r} }

type pacedReader struct {
	pace *pace
	r    io.Reader
}

func (r *pacedReader) Read(b []byte) (int, error) {
	if err := r.pace.step(); err != nil {
		return 0, err
	}
	return r.r.Read(b[:min(len(b), 1<<16)])
}

// files are those of the disk, for SQLite to read a database at this pace.
func (p *pace) files() fs.FS { return pacedFiles{p} }

type pacedFiles struct{ pace *pace }

func (f pacedFiles) Open(path string) (fs.File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return &pacedFile{file, f.pace}, nil
}

type pacedFile struct {
	*os.File
	pace *pace
}

func (f *pacedFile) Read(b []byte) (int, error) {
	if err := f.pace.step(); err != nil {
		return 0, err
	}
	return f.File.Read(b)
}

// rest waits, unless ctx ends first.
func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
