package monitor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// Severity says how much an alert matters.
type Severity string

// The severities.
const (
	Warning  Severity = "warning"  // somebody should look at it in the next days
	Critical Severity = "critical" // somebody should look at it now
)

// Finding is what a check has to say. The zero Finding is: all is well.
type Finding struct {
	Message  string   // what is wrong, "" = nothing
	Hint     string   // what to do about it
	Severity Severity // "" = the check's
}

// Check is one thing to look at.
type Check struct {
	Name string // a word like disk_data: the name of its alert
	// Every is the time between two looks, Config.Every when 0. First is the time
	// before the first one.
	Every, First time.Duration
	// Timeout is how long a look may take before that is an alert, 10 s when 0.
	Timeout time.Duration
	// After is how many looks in a row must find something before it is told, 1
	// when 0: what passes by itself is no news.
	After    int
	Severity Severity // Warning when ""
	// Run looks. Its error says that it could not, which is an alert as well. It
	// should end with ctx.
	Run func(ctx context.Context) (Finding, error)
}

// Alert is a finding with its time. Cleared is zero while it lasts.
type Alert struct {
	Name     string
	Severity string // warning or critical
	Message  string
	Hint     string
	Since    time.Time
	Cleared  time.Time
}

// Config is what a Monitor needs. Only Checks is required.
type Config struct {
	Checks []Check
	// Every is the time between two looks of checks that do not say, 30 s when 0.
	Every time.Duration
	// Changed is told of each alert when it begins, when it becomes critical and
	// when it is over, one after the other; it must not block. Otherwise the words
	// of an alert that goes on may change without it.
	Changed func(a Alert)
	Logger  *slog.Logger // none when nil
	// History is how many alerts that are over are kept, 100 when 0.
	History int
}

func (c Config) withDefaults() Config {
	c.Every = cmp.Or(c.Every, 30*time.Second)
	c.History = cmp.Or(c.History, 100)
	if c.Changed == nil {
		c.Changed = func(Alert) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Checks = slices.Clone(c.Checks)
	for i := range c.Checks {
		k := &c.Checks[i]
		k.Every = cmp.Or(k.Every, c.Every)
		k.Timeout = cmp.Or(k.Timeout, 10*time.Second)
		k.After = cmp.Or(k.After, 1)
		k.Severity = cmp.Or(k.Severity, Warning)
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	if c.Every < 0 || c.History < 0 {
		errs = append(errs, errors.New("numbers must not be negative"))
	}
	names := map[string]bool{}
	for _, k := range c.Checks {
		switch {
		case k.Name == "" || k.Run == nil:
			errs = append(errs, fmt.Errorf("check %q: a Name and Run are required", k.Name))
		case names[k.Name]:
			errs = append(errs, fmt.Errorf("check %q: there are two of this name", k.Name))
		case k.Every < 0 || k.First < 0 || k.Timeout < 0 || k.After < 0:
			errs = append(errs, fmt.Errorf("check %q: numbers must not be negative", k.Name))
		}
		names[k.Name] = true
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("config of the monitor: %w", err)
	}
	return nil
}

// Monitor runs the checks. Create it with New.
type Monitor struct {
	config Config

	life    sync.Mutex // Start and Stop
	cancel  context.CancelFunc
	tasks   sync.WaitGroup
	stopped bool

	mu     sync.Mutex // held while Changed is told, so that it hears things in order
	active map[string]Alert
	past   []Alert // oldest first
}

// New checks the config. Nothing runs before Start.
func New(config Config) (*Monitor, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	return &Monitor{config: config, active: map[string]Alert{}}, nil
}

// Start begins to look, at once. It does nothing the second time and after Stop.
func (m *Monitor) Start() {
	m.life.Lock()
	defer m.life.Unlock()
	if m.cancel != nil || m.stopped {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	for _, check := range m.config.Checks {
		m.tasks.Go(func() { m.watch(ctx, check) })
	}
}

// Stop ends the looks under way and waits for them, no longer than ctx: one that
// hangs may never end. It is safe twice and before Start.
func (m *Monitor) Stop(ctx context.Context) error {
	m.life.Lock()
	defer m.life.Unlock()
	m.stopped = true
	if m.cancel == nil {
		return nil
	}
	m.cancel()
	done := make(chan struct{})
	go func() { m.tasks.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop the monitor: a check does not end: %w", ctx.Err())
	}
}

// Names returns the names of the checks, which are those of the alerts.
func (m *Monitor) Names() []string {
	names := make([]string, len(m.config.Checks))
	for i := range m.config.Checks {
		names[i] = m.config.Checks[i].Name
	}
	return names
}

// Alerts returns what is wrong now, ordered by name.
func (m *Monitor) Alerts() []Alert {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]Alert, 0, len(m.active))
	for _, a := range m.active {
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b Alert) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// Past returns what was wrong and is over, newest first.
func (m *Monitor) Past() []Alert {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := slices.Clone(m.past)
	slices.Reverse(list)
	return list
}

// watch looks until ctx ends.
func (m *Monitor) watch(ctx context.Context, check Check) {
	wait := time.NewTimer(check.First)
	defer wait.Stop()
	for found := 0; ; wait.Reset(check.Every) {
		select {
		case <-wait.C:
		case <-ctx.Done():
			return
		}
		finding := m.look(ctx, &check)
		if ctx.Err() != nil {
			return
		}
		if finding.Message == "" {
			found = 0
			m.clear(check.Name)
		} else if found++; found >= check.After {
			m.raise(&check, finding)
		}
	}
}

// look runs a check. One that does not end in time is told of while it hangs:
// the next look waits for it.
func (m *Monitor) look(ctx context.Context, check *Check) Finding {
	bounded, cancel := context.WithTimeout(ctx, check.Timeout)
	defer cancel()
	answer := make(chan Finding, 1)
	m.tasks.Go(func() { answer <- m.run(bounded, check) })
	select {
	case finding := <-answer:
		return finding
	case <-bounded.Done():
	}
	if ctx.Err() == nil {
		// A check that ends with its context says so itself in a moment.
		grace := time.NewTimer(time.Second)
		defer grace.Stop()
		select {
		case finding := <-answer:
			return finding
		case <-grace.C:
			m.raise(check, Finding{
				Message: fmt.Sprintf("the check %s has not ended for %s", check.Name, check.Timeout),
				Hint:    "look whether the disk or the network hangs (dmesg), and restart the server if it does not go on",
			})
		case <-ctx.Done():
		}
	}
	select {
	case finding := <-answer:
		return finding
	case <-ctx.Done():
		return Finding{}
	}
}

// run turns errors and panics into findings.
func (m *Monitor) run(ctx context.Context, check *Check) (finding Finding) {
	defer func() {
		if p := recover(); p != nil {
			m.config.Logger.Error("check panicked", "check", check.Name, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			finding = Finding{
				Message: "the check " + check.Name + " panicked", Hint: "report it with the lines of the server's log",
			}
		}
	}()
	finding, err := check.Run(ctx)
	if err != nil {
		return Finding{
			Message: fmt.Sprintf("the check %s could not look: %v", check.Name, err),
			Hint:    "mend what the error names; until then nobody watches this",
		}
	}
	return finding
}

// raise begins an alert, or brings the words of one that goes on up to date.
func (m *Monitor) raise(check *Check, finding Finding) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, goesOn := m.active[check.Name]
	if !goesOn {
		a = Alert{Name: check.Name, Since: time.Now().UTC()}
	}
	before := a.Severity
	a.Severity, a.Message, a.Hint = string(cmp.Or(finding.Severity, check.Severity)), finding.Message, finding.Hint
	m.active[check.Name] = a
	if !goesOn || before != a.Severity && a.Severity == string(Critical) {
		level := slog.LevelWarn
		if a.Severity == string(Critical) {
			level = slog.LevelError
		}
		m.config.Logger.Log(context.Background(), level, "alert", "name", a.Name, "severity", a.Severity, "message", a.Message, "hint", a.Hint)
		m.config.Changed(a)
	}
}

// clear ends the alert of that name, if there is one.
func (m *Monitor) clear(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, was := m.active[name]
	if !was {
		return
	}
	delete(m.active, name)
	a.Cleared = time.Now().UTC()
	m.past = append(m.past, a)
	if over := len(m.past) - m.config.History; over > 0 {
		m.past = slices.Delete(m.past, 0, over)
	}
	m.config.Logger.Info("alert is over", "name", a.Name, "since", a.Since)
	m.config.Changed(a)
}
