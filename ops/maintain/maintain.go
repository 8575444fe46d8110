package maintain

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/agent-kanban/agent-kanban/ops/machine"
)

// ErrDamaged is what Run returns where the integrity check found something.
var ErrDamaged = errors.New("the database file is damaged")

// DB is the database; sqlstore.DB is one.
type DB interface {
	// Path of its file.
	Path() string
	// Reader returns a pool that cannot write.
	Reader() *sql.DB
	// Exclusive runs fn on the writing connection while nobody else of this
	// process writes, outside of a transaction.
	Exclusive(ctx context.Context, fn func(ctx context.Context, conn *sql.Conn) error) error
}

// Options of Run.
type Options struct {
	// Full rewrites the whole file (VACUUM) instead of giving unused pages back
	// a few at a time. Whoever writes waits meanwhile, about a second per 100 MB.
	Full bool
	// Now is the clock, time.Now when nil.
	Now func() time.Time
	// Starting is told which step begins.
	Starting func(step string)
	// Done is told of each step when it is over.
	Done func(Step)
}

// Step is what became of one of them.
type Step struct {
	Name   string        `json:"name"`
	Detail string        `json:"detail"`
	Error  string        `json:"error,omitempty"`
	Took   time.Duration `json:"took_ns"`
}

// Report of one run. Sizes are in bytes.
type Report struct {
	At        time.Time `json:"at"`
	Steps     []Step    `json:"steps"`
	OK        bool      `json:"ok"`
	Before    int64     `json:"bytes_before"`
	After     int64     `json:"bytes_after"`
	WALBefore int64     `json:"wal_bytes_before"`
	WALAfter  int64     `json:"wal_bytes_after"`
}

// step is one of Run's; do returns a few words on what it did.
type step struct {
	name string
	do   func(ctx context.Context, r *run) (string, error)
}

// The integrity check comes before the checkpoint: while it reads, the WAL
// cannot be emptied.
var steps = []step{
	{"expired_tokens", deleteExpired},
	{"optimize", optimize},
	{"analyze", analyze},
	{"vacuum", vacuum},
	{"integrity", integrity},
	{"checkpoint", checkpoint},
}

// run is one call of Run.
type run struct {
	db   DB
	opts Options
}

// Run does every step, also after one that failed. The error joins those of the
// steps; ErrDamaged is among them where the integrity check found something.
func Run(ctx context.Context, db DB, opts Options) (Report, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	report := Report{At: opts.Now().UTC(), Steps: []Step{}}
	r := &run{db: db, opts: opts}
	var errs []error
	report.Before, report.WALBefore = r.sizes()
	for _, s := range steps {
		if err := ctx.Err(); err != nil {
			errs = append(errs, err)
			break
		}
		if opts.Starting != nil {
			opts.Starting(s.name)
		}
		start := time.Now()
		detail, err := s.do(ctx, r)
		done := Step{Name: s.name, Detail: detail, Took: time.Since(start)}
		if err != nil {
			done.Error = err.Error()
			errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
		}
		report.Steps = append(report.Steps, done)
		if opts.Done != nil {
			opts.Done(done)
		}
	}
	report.After, report.WALAfter = r.sizes()
	err := errors.Join(errs...)
	report.OK = err == nil
	return report, err
}

// sizes of the file and its WAL; what cannot be asked is 0.
func (r *run) sizes() (file, wal int64) {
	file, _ = machine.FileSize(r.db.Path())
	wal, _ = machine.FileSize(r.db.Path() + "-wal")
	return file, wal
}
