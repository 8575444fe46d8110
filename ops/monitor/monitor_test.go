package monitor_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/agent-kanban/agent-kanban/ops/monitor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cell is a value that checks and tests share.
type cell[T any] struct {
	mu sync.Mutex
	v  T
}

func (c *cell[T]) set(v T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.v = v
}

func (c *cell[T]) get() T {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.v
}

// told is what Changed heard: "disk!" began, "disk!!" became critical, "disk." is over.
type told struct{ cell[string] }

func (l *told) hear(a monitor.Alert) {
	sign := map[string]string{"warning": "!", "critical": "!!"}[a.Severity]
	if !a.Cleared.IsZero() {
		sign = "."
	}
	l.set(strings.TrimSpace(l.get() + " " + a.Name + sign))
}

func (l *told) want(t *testing.T, want string) {
	t.Helper()
	if got := l.get(); got != want {
		t.Errorf("told %q, want %q", got, want)
	}
}

// begin starts a monitor inside a bubble, with a look each ten seconds.
func begin(t *testing.T, c monitor.Config) (*monitor.Monitor, *told) {
	t.Helper()
	heard := &told{}
	c.Every, c.Changed = 10*time.Second, heard.hear
	m, err := monitor.New(c)
	if err != nil {
		t.Fatal(err)
	}
	m.Start()
	t.Cleanup(func() {
		if err := m.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
	return m, heard
}

// rounds lets the monitor look n times more.
func rounds(n int) {
	time.Sleep(time.Duration(n) * 10 * time.Second) //nolint:forbidigo // the bubble's clock
	synctest.Wait()
}

func TestAlertIsToldOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var finding cell[monitor.Finding]
		var log bytes.Buffer
		m, heard := begin(t, monitor.Config{
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Checks: []monitor.Check{{Name: "disk", Run: func(context.Context) (monitor.Finding, error) { return finding.get(), nil }}},
		})
		heard.want(t, "")
		if len(m.Alerts())+len(m.Past()) > 0 {
			t.Errorf("alerts %v, past %v, want none", m.Alerts(), m.Past())
		}
		finding.set(monitor.Finding{Message: "10 % free", Hint: "tidy up"})
		rounds(1)
		began := time.Now().UTC()
		finding.set(monitor.Finding{Message: "9 % free", Hint: "tidy up"})
		rounds(3)
		heard.want(t, "disk!")
		if a := m.Alerts(); len(a) != 1 || a[0].Message != "9 % free" || a[0].Hint != "tidy up" || !a[0].Since.Equal(began) || a[0].Severity != "warning" {
			t.Errorf("alerts: %+v, want the newest words and the first time %v", a, began)
		}
		finding.set(monitor.Finding{Message: "1 % free", Severity: monitor.Critical})
		rounds(2)
		heard.want(t, "disk! disk!!")
		finding.set(monitor.Finding{})
		rounds(3)
		heard.want(t, "disk! disk!! disk.")
		if a := m.Past(); len(m.Alerts()) != 0 || len(a) != 1 || a[0].Cleared.IsZero() || !a[0].Since.Equal(began) {
			t.Errorf("alerts %+v, past %+v, want one that is over", m.Alerts(), a)
		}
		for _, want := range []string{"level=WARN msg=alert name=disk", "level=ERROR msg=alert name=disk", "level=INFO msg=\"alert is over\""} {
			if strings.Count(log.String(), want) != 1 {
				t.Errorf("the log lacks one %q:\n%s", want, log.String())
			}
		}
	})
}

// What passes by itself is no news where a check says so.
func TestAlertAfterSeveralLooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var bad cell[bool]
		_, heard := begin(t, monitor.Config{Checks: []monitor.Check{{
			Name: "lag", After: 3, First: 5 * time.Second,
			Run: func(context.Context) (monitor.Finding, error) {
				if bad.get() {
					return monitor.Finding{Message: "behind"}, nil
				}
				return monitor.Finding{}, nil
			},
		}}})
		rounds(1)
		bad.set(true)
		rounds(2)
		bad.set(false)
		rounds(1)
		bad.set(true)
		rounds(2)
		heard.want(t, "")
		rounds(1)
		heard.want(t, "lag!")
	})
}

// A check that hangs, panics or cannot look is an alert itself; the others go on.
func TestBrokenChecks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var mended cell[bool]
		var looks cell[int]
		m, heard := begin(t, monitor.Config{Checks: []monitor.Check{
			{Name: "hangs", Run: func(context.Context) (monitor.Finding, error) {
				<-release // not even the end of its context ends it
				return monitor.Finding{}, nil
			}},
			{Name: "panics", Run: func(context.Context) (monitor.Finding, error) {
				if !mended.get() {
					panic("a bug")
				}
				return monitor.Finding{}, nil
			}},
			{Name: "errs", Severity: monitor.Critical, Run: func(ctx context.Context) (monitor.Finding, error) {
				if !mended.get() {
					<-ctx.Done()
					return monitor.Finding{}, errors.New("the network is gone")
				}
				return monitor.Finding{}, nil
			}},
			{Name: "sound", Run: func(context.Context) (monitor.Finding, error) {
				looks.set(looks.get() + 1)
				return monitor.Finding{}, nil
			}},
		}})
		rounds(2)
		messages := map[string]string{}
		for _, a := range m.Alerts() {
			messages[a.Name] = a.Message
			if a.Hint == "" {
				t.Errorf("%s: no hint", a.Name)
			}
		}
		for name, want := range map[string]string{"hangs": "has not ended for 10s", "panics": "panicked", "errs": "could not look: the network is gone"} {
			if !strings.Contains(messages[name], want) {
				t.Errorf("%s: %q, want %q", name, messages[name], want)
			}
		}
		if looks := looks.get(); looks < 3 {
			t.Errorf("the sound check looked %d times", looks)
		}
		mended.set(true)
		close(release)
		rounds(3)
		if a := m.Alerts(); len(a) > 0 {
			t.Errorf("alerts %+v, want none", a)
		}
		if n := len(strings.Fields(heard.get())); n != 6 {
			t.Errorf("told %v, want three that began and ended", heard.get())
		}
	})
}

func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bad := false
		m, _ := begin(t, monitor.Config{History: 3, Checks: []monitor.Check{{
			Name: "flaps", Run: func(context.Context) (monitor.Finding, error) {
				if bad = !bad; bad {
					return monitor.Finding{Message: "bad"}, nil
				}
				return monitor.Finding{}, nil
			},
		}}})
		rounds(20)
		past := m.Past()
		if len(past) != 3 || !past[0].Since.After(past[2].Since) {
			t.Errorf("past: %+v, want the three newest, newest first", past)
		}
	})
}

// Stop does not wait for ever, is safe before Start and twice, and nothing runs
// after it.
func TestStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		m, err := monitor.New(monitor.Config{Checks: []monitor.Check{{
			Name: "hangs", Run: func(context.Context) (monitor.Finding, error) {
				<-release
				return monitor.Finding{Message: "late"}, nil
			},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		m.Start()
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := m.Stop(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("stop with a check that hangs: %v", err)
		}
		close(release)
		if err := m.Stop(context.Background()); err != nil {
			t.Errorf("stop again: %v", err)
		}
		m.Start()
		rounds(2)
		if a := m.Alerts(); len(a) > 0 {
			t.Errorf("alerts after the end: %+v", a)
		}
	})
	idle, err := monitor.New(monitor.Config{})
	if err == nil {
		err = idle.Stop(t.Context())
	}
	if err != nil {
		t.Errorf("stop before start: %v", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	run := func(context.Context) (monitor.Finding, error) { return monitor.Finding{}, nil }
	for name, c := range map[string]monitor.Config{
		"no name":  {Checks: []monitor.Check{{Run: run}}},
		"no run":   {Checks: []monitor.Check{{Name: "a"}}},
		"twice":    {Checks: []monitor.Check{{Name: "a", Run: run}, {Name: "a", Run: run}}},
		"negative": {Checks: []monitor.Check{{Name: "a", Run: run, Every: -1}}},
		"history":  {History: -1},
	} {
		if _, err := monitor.New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
