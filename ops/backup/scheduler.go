package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-co-op/gocron/v2"
	"github.com/robfig/cron/v3"
)

// SchedulerConfig says when a server takes backups by itself. Create is
// required.
type SchedulerConfig struct {
	// Schedule is five fields of cron (UTC) or @daily; "" = none, then only Run
	// takes one.
	Schedule string
	Create   Options
	Bucket   *Bucket // where each goes besides, nil = nowhere
	Logger   *slog.Logger
}

// Status of the backups, for health, metrics and alerts.
type Status struct {
	Scheduled   bool          `json:"scheduled"`
	Running     bool          `json:"running"`
	LastSuccess time.Time     `json:"last_success,omitzero"` // the newest backup in the folder
	Age         time.Duration `json:"age_ns"`                // of LastSuccess, 0 = there is none
	Position    int64         `json:"position"`              // up to which it reaches
	Size        int64         `json:"size_bytes"`
	LastError   string        `json:"last_error,omitempty"` // of the last attempt, "" = it succeeded
	Failures    int           `json:"failures"`             // since the last success
	Next        time.Time     `json:"next,omitzero"`
}

// Overdue reports whether a backup should be there and is not: the last attempt
// failed, or a run was due an hour ago and has not succeeded.
func (s Status) Overdue(now time.Time) bool {
	return s.Scheduled && (s.LastError != "" || !s.Next.IsZero() && now.Sub(s.Next) > time.Hour)
}

// Scheduler takes backups when they are due, and removes those that retention
// does not keep.
type Scheduler struct {
	config   SchedulerConfig
	schedule cron.Schedule // nil = none
	timer    gocron.Scheduler
	job      gocron.Job
	ctx      context.Context
	cancel   context.CancelFunc
	late     sync.WaitGroup // the run that was missed
	turn     sync.Mutex     // one backup at a time

	mu     sync.Mutex
	status Status
}

// NewScheduler starts nothing. Close it with Stop.
func NewScheduler(c SchedulerConfig) (_ *Scheduler, err error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Create.Now == nil {
		c.Create.Now = time.Now
	}
	s := &Scheduler{config: c}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if c.Schedule == "" {
		return s, nil
	}
	if s.schedule, err = cron.ParseStandard(c.Schedule); err != nil {
		return nil, fmt.Errorf("backup schedule %q: %w", c.Schedule, err)
	}
	return s, nil
}

// Start begins to wait for the next run. A run that was due while no server ran
// is made up for at once, in the background.
func (s *Scheduler) Start() error {
	newest, err := s.look()
	if err != nil {
		return err
	}
	if s.schedule == nil {
		return nil
	}
	if s.timer, err = gocron.NewScheduler(gocron.WithLocation(time.UTC)); err != nil {
		return fmt.Errorf("schedule backups: %w", err)
	}
	s.job, err = s.timer.NewJob(gocron.CronJob(s.config.Schedule, false), gocron.NewTask(func() { s.due() }),
		gocron.WithSingletonMode(gocron.LimitModeReschedule))
	if err != nil {
		return fmt.Errorf("schedule backups: %w", errors.Join(err, s.timer.Shutdown()))
	}
	s.timer.Start()
	if now := s.config.Create.Now(); newest.IsZero() || !s.schedule.Next(newest.UTC()).After(now) {
		s.late.Go(s.due)
	}
	return nil
}

// Stop ends the backup that is under way, which leaves nothing, and waits.
func (s *Scheduler) Stop() {
	s.cancel()
	if s.timer != nil {
		_ = s.timer.Shutdown()
		s.timer = nil
	}
	s.late.Wait()
}

// due takes a backup and logs what came of it.
func (s *Scheduler) due() {
	made, err := s.Run(s.ctx)
	switch {
	case s.ctx.Err() != nil:
	case err != nil:
		s.config.Logger.Error("the backup failed", "error", err)
	default:
		s.config.Logger.Info("backup taken", "file", made.Path, "position", made.Manifest.Position, "bytes", made.Size, "took", made.Took)
	}
}

// Run takes a backup now, uploads it where there is a bucket, and then removes
// those that retention does not keep. Where the upload fails the backup stays,
// and the error is returned.
func (s *Scheduler) Run(ctx context.Context) (Made, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	s.change(func(st *Status) { st.Running = true })
	made, err := Create(ctx, s.config.Create)
	if err == nil {
		s.change(func(st *Status) {
			st.LastSuccess, st.Position, st.Size = made.Manifest.Time, made.Manifest.Position, made.Size
		})
		if s.config.Bucket != nil {
			err = s.config.Bucket.Upload(ctx, made.Path, filepath.Base(made.Path))
		}
	}
	if err == nil {
		err = s.retain()
	}
	s.change(func(st *Status) {
		st.Running = false
		if st.LastError = ""; err != nil {
			st.LastError = err.Error()
			st.Failures++
		} else {
			st.Failures = 0
		}
	})
	return made, err
}

// retain removes what is not kept.
func (s *Scheduler) retain() error {
	listed, err := List(s.config.Create.Out)
	if err != nil {
		return err
	}
	names := make([]string, len(listed))
	for i, b := range listed {
		names[i] = filepath.Base(b.Path)
	}
	for _, name := range Expired(names, s.config.Create.Now()) {
		if err := os.Remove(filepath.Join(s.config.Create.Out, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove an old backup: %w", err)
		}
		s.config.Logger.Info("old backup removed", "file", name)
	}
	return nil
}

// look finds the newest backup of before.
func (s *Scheduler) look() (newest time.Time, err error) {
	listed, err := List(s.config.Create.Out)
	if err != nil || len(listed) == 0 {
		return newest, err
	}
	s.change(func(st *Status) {
		st.LastSuccess, st.Position, st.Size = listed[0].Time, listed[0].Position, listed[0].Size
	})
	return listed[0].Time, nil
}

func (s *Scheduler) change(how func(*Status)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	how(&s.status)
}

// Status tells how things stand.
func (s *Scheduler) Status() Status {
	s.mu.Lock()
	status := s.status
	s.mu.Unlock()
	now := s.config.Create.Now()
	if !status.LastSuccess.IsZero() {
		status.Age = max(0, now.Sub(status.LastSuccess))
	}
	if s.schedule != nil {
		status.Scheduled = true
		// By the last success and not by the clock, so that a run that is overdue
		// does not look like one that is to come.
		status.Next = s.schedule.Next(cmp.Or(status.LastSuccess, now).UTC())
	}
	return status
}
