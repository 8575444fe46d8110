package maintain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-co-op/gocron/v2"
)

// stopTime is how long Stop waits for a run that was interrupted.
const stopTime = 3 * time.Second

// Config of a Schedule.
type Config struct {
	DB DB
	// Cron says when: five fields, UTC, or @daily and the like.
	Cron   string
	Logger *slog.Logger // discards when nil
}

// Status of a Schedule.
type Status struct {
	Running bool      `json:"running"`
	Next    time.Time `json:"next,omitzero"`
	Last    *Report   `json:"last,omitempty"` // nil before the first run
	Error   string    `json:"error,omitempty"`
}

// Schedule runs maintenance by the clock, one run at a time.
type Schedule struct {
	config Config
	job    gocron.Job

	mu        sync.Mutex
	scheduler gocron.Scheduler // nil before Start and after Stop
	running   bool
	last      *Report
	err       error
}

// NewSchedule starts nothing.
func NewSchedule(config Config) (*Schedule, error) {
	if config.DB == nil || config.Cron == "" {
		return nil, errors.New("maintenance: a schedule needs a database and a time")
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	return &Schedule{config: config}, nil
}

// Start begins to watch the clock; Stop ends that, and interrupts a run.
func (s *Schedule) Start(ctx context.Context) error {
	scheduler, err := gocron.NewScheduler(gocron.WithLocation(time.UTC), gocron.WithStopTimeout(stopTime))
	if err != nil {
		return fmt.Errorf("maintenance: %w", err)
	}
	job, err := scheduler.NewJob(gocron.CronJob(s.config.Cron, false),
		gocron.NewTask(func(ctx context.Context) { s.Run(ctx) }),
		gocron.WithContext(context.WithoutCancel(ctx)), gocron.WithSingletonMode(gocron.LimitModeReschedule))
	if err != nil {
		return errors.Join(fmt.Errorf("maintenance: %w", err), scheduler.Shutdown())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scheduler, s.job = scheduler, job
	scheduler.Start()
	return nil
}

// Stop returns when no run is under way any more. It is safe twice and before
// Start.
func (s *Schedule) Stop() error {
	s.mu.Lock()
	scheduler := s.scheduler
	s.scheduler = nil
	s.mu.Unlock()
	if scheduler == nil {
		return nil
	}
	return scheduler.Shutdown()
}

// Run does the maintenance now, and writes what became of each step to the log.
func (s *Schedule) Run(ctx context.Context) {
	s.mu.Lock()
	if s.running {
		s.mu.Unlock()
		return
	}
	s.running = true
	s.mu.Unlock()
	report, err := Run(ctx, s.config.DB, Options{Done: func(step Step) {
		if step.Error != "" {
			s.config.Logger.Error("maintenance", "step", step.Name, "error", step.Error)
			return
		}
		s.config.Logger.Info("maintenance", "step", step.Name, "result", step.Detail, "took", step.Took.Round(time.Millisecond))
	}})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running, s.last, s.err = false, &report, err
}

// Status tells of the last run and when the next one is.
func (s *Schedule) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := Status{Running: s.running, Last: s.last}
	if s.scheduler != nil {
		status.Next, _ = s.job.NextRun()
	}
	if s.err != nil {
		status.Error = s.err.Error()
	}
	return status
}
