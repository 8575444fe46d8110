package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"
	"github.com/robfig/cron/v3"

	"github.com/agent-kanban/agent-kanban/ops"
)

// DrillOptions of Drill. Create (but for Out) and Folds are required.
type DrillOptions struct {
	Create     Options
	Identities []age.Identity // needed where Create has a recipient
	Folds      Folds
	// Dir is where the temporary folder is made, "" = os.TempDir(). It needs room
	// for three times the database.
	Dir string
	// Schedule and Shipped tell how old the newest copy may be when the machine is
	// lost.
	Schedule string
	Shipped  bool
	Progress func(phase string)
}

// Drilled is what a drill has measured.
type Drilled struct {
	Position     int64             `json:"position"`
	Size         int64             `json:"size_bytes"` // of the archive
	Backup       time.Duration     `json:"backup_ns"`  // time to take it
	Restore      time.Duration     `json:"restore_ns"` // time to restore it, proof included
	Verification *ops.Verification `json:"verification"`
	// RPO is how much of the newest work the loss of the machine may cost, -1 =
	// everything since somebody last took a backup. RTO is how long a restore on a
	// machine like this one takes: that of the drill.
	RPO time.Duration `json:"rpo_ns"`
	RTO time.Duration `json:"rto_ns"`
}

// Drill takes a backup into a temporary folder, restores it there as on another
// machine, verifies it, and removes everything again. It only reads what is in
// use.
func Drill(ctx context.Context, o DrillOptions) (_ Drilled, err error) {
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	w, err := newWorkshop(cmp.Or(o.Dir, os.TempDir()), checkPrefix)
	if err != nil {
		return Drilled{}, fmt.Errorf("drill: %w", err)
	}
	defer func() { err = errors.Join(err, w.close()) }()
	o.Progress("take a backup")
	o.Create.Out = w.path("backups")
	made, err := Create(ctx, o.Create)
	if err != nil {
		return Drilled{}, fmt.Errorf("drill: %w", err)
	}
	began := time.Now()
	archive, err := OpenArchive(ctx, made.Path, o.Identities)
	if err != nil {
		return Drilled{}, fmt.Errorf("drill: %w", err)
	}
	data := w.path("data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return Drilled{}, fmt.Errorf("drill: %w", err)
	}
	restored, err := Restore(ctx, RestoreOptions{
		Archive: archive, DataDir: data, Database: filepath.Join(data, databaseName), Folds: o.Folds, Progress: o.Progress,
	})
	if err != nil {
		return Drilled{}, fmt.Errorf("drill: %w", err)
	}
	if restored.Head != made.Manifest.Head() {
		return Drilled{}, fmt.Errorf("drill: %w: the restored log ends at %+v, want %+v", ErrDamaged, restored.Head, made.Manifest.Head())
	}
	took := time.Since(began)
	return Drilled{
		Position: made.Manifest.Position, Size: made.Size, Backup: made.Took, Restore: took,
		Verification: restored.Verification, RPO: exposure(o.Schedule, o.Shipped), RTO: took,
	}, nil
}

// Interval is the longest time between two backups that a schedule makes, -1
// where it makes none.
func Interval(schedule string) time.Duration { return exposure(schedule, false) }

// exposure is the longest time between two copies, -1 where nothing makes them
// by itself.
func exposure(schedule string, shipped bool) time.Duration {
	if shipped {
		return time.Second
	}
	times, err := cron.ParseStandard(schedule)
	if err != nil {
		return -1
	}
	longest, at := time.Duration(0), times.Next(time.Now().UTC())
	for range 500 { // over every hour, weekday and month that a schedule may name
		next := times.Next(at)
		if next.IsZero() {
			return -1
		}
		longest = max(longest, next.Sub(at))
		at = next
	}
	return longest
}
