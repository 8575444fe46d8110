package metrics

import (
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/agent-kanban/agent-kanban/events"
)

// full has every source.
func full(t *testing.T) *Metrics {
	t.Helper()
	m, err := New(Config{Version: "v1", Started: time.Unix(1000, 0)}, Sources{
		Head:    func() int64 { return 12 },
		Waiting: func() int { return 9 },
		Relay: func() Relay {
			return Relay{Working: true, Position: 10, Lag: 2, Resyncs: 3, Rebuilds: 4, Restarts: 5, Recovered: 6}
		},
		Followers: func() map[string]int64 { return map[string]int64{"read_model": 11, "live_feed": 12} },
		ReadModel: func() ReadModel { return ReadModel{Working: true, Parked: 7, Retries: 8} },
		Sockets:   func() Sockets { return Sockets{1, 2, 3, 4} },
		Webhooks:  func() Webhooks { return Webhooks{1, 2, 3, 4, 5, 6} },
		Sizes:     func() Sizes { return Sizes{100, 200, 300, 400, 500} },
		Degraded:  func() []string { return []string{"bus"} },
		Alerts:    func() map[string]bool { return map[string]bool{"disk": true, "memory": false} },
		Backup:    func() time.Time { return time.Unix(2000, 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	m.Command("create_ticket", nil, time.Millisecond)
	m.Command("expire_lease", nil, 0)
	m.Command("expire_lease", errors.New("disk"), 0)
	m.Append(3, time.Millisecond, 2*time.Millisecond)
	m.Append(0, 0, time.Millisecond)
	m.Request("/api/tickets/:id", "GET", 200, time.Millisecond, true)
	m.Request("/ws/connect", "GET", 101, time.Hour, false)
	m.Request("", "BREW", 404, 0, true)
	m.RateLimited("commands")
	return m
}

func page(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestPage(t *testing.T) {
	t.Parallel()
	text := page(t, full(t))
	for _, line := range []string{
		`kanban_log_head_position 12`,
		`kanban_commands_waiting 9`,
		`kanban_relay_up 1`,
		`kanban_relay_lag_events 2`,
		`kanban_relay_resyncs_total 3`,
		`kanban_bus_restarts_total 5`,
		`kanban_recovered_files 6`,
		`kanban_projection_lag_events{projection="read_model"} 1`,
		`kanban_projection_lag_events{projection="live_feed"} 0`,
		`kanban_parked_events 7`,
		`kanban_websocket_dropped_total 4`,
		`kanban_webhook_dead_letters_total 5`,
		`kanban_database_size_bytes 100`,
		`kanban_disk_free_bytes 400`,
		`kanban_degraded{part="bus"} 1`,
		`kanban_alert_raised{alert="disk"} 1`,
		`kanban_alert_raised{alert="memory"} 0`,
		`kanban_backup_last_success_timestamp_seconds 2000`,
		`kanban_start_time_seconds 1000`,
		`kanban_commands_total{result="ok",type="create_ticket"} 1`,
		`kanban_commands_total{result="error",type="expire_lease"} 1`,
		`kanban_leases_expired_total 1`,
		`kanban_log_events_appended_total 3`,
		`kanban_log_batch_events_count 1`,
		`kanban_log_append_seconds_count 1`,
		`kanban_log_commit_seconds_count 2`,
		`kanban_http_requests_total{method="GET",route="/ws/connect",status="101"} 1`,
		`kanban_http_requests_total{method="other",route="unmatched",status="404"} 1`,
		`kanban_http_request_duration_seconds_count{method="GET",route="/api/tickets/:id"} 1`,
		`kanban_rate_limited_total{scope="commands"} 1`,
		`process_start_time_seconds`, `go_goroutines`, `kanban_build_info{go_version="go`,
	} {
		if !strings.Contains(text, "\n"+line) {
			t.Errorf("the page lacks %s", line)
		}
	}
	for _, word := range []string{
		"healthy", // the word of /health alone
		`kanban_http_request_duration_seconds_count{method="GET",route="/ws/connect"}`,
	} {
		if strings.Contains(text, word) {
			t.Errorf("the page has %s", word)
		}
	}
}

// What is not there has no metrics, rather than wrong ones.
func TestWithoutSources(t *testing.T) {
	t.Parallel()
	m, err := New(Config{}, Sources{
		Backup: func() time.Time { return time.Time{} }, Sizes: func() Sizes { return Sizes{100, 200, -1, 400, 500} },
	})
	if err != nil {
		t.Fatal(err)
	}
	text := page(t, m)
	for _, name := range []string{"kanban_backup_age_seconds ", "kanban_relay_", "kanban_log_head_position", "kanban_jetstream_size_bytes "} {
		if strings.Contains(text, name) {
			t.Errorf("the page has %s", name)
		}
	}
	if !strings.Contains(text, `kanban_build_info{go_version="go`) || !strings.Contains(text, `version="dev"`) {
		t.Errorf("no build info in %s", text)
	}
}

// Every metric has help, a sound name and the suffix of its kind.
func TestLint(t *testing.T) {
	t.Parallel()
	problems, err := promlint.New(io.MultiReader(strings.NewReader(page(t, full(t))))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestGauges(t *testing.T) {
	t.Parallel()
	m := full(t)
	known := false
	if err := m.Gauge("kanban_cache_size_bytes", "Size of the cache.", func() (float64, bool) { return 5, known }); err != nil {
		t.Fatal(err)
	}
	if err := m.Gauges("kanban_cache_entries", "Entries of the cache.", "cache", func() map[string]float64 {
		return map[string]float64{"boards": 2, "users": 3}
	}); err != nil {
		t.Fatal(err)
	}
	if text := page(t, m); strings.Contains(text, "\nkanban_cache_size_bytes") || !strings.Contains(text, `kanban_cache_entries{cache="users"} 3`) {
		t.Errorf("while the size is unknown: %s", text)
	}
	known = true
	if text := page(t, m); !strings.Contains(text, "\nkanban_cache_size_bytes 5") {
		t.Errorf("once the size is known: %s", text)
	}
	if err := m.Gauge("kanban_log_head_position", "Another.", nil); err == nil || !strings.Contains(err.Error(), "kanban_log_head_position") {
		t.Errorf("a name that is taken: %v", err)
	}
}

func TestResultOf(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		err  error
		want string
	}{
		{nil, "ok"},
		{events.Errorf(events.CodeInvalid, ""), "invalid"},
		{events.Errorf(events.CodeNotFound, ""), "denied"},
		{events.Errorf(events.CodeWIPLimit, ""), "refused"},
		{events.Errorf(events.CodeVersionMismatch, ""), "refused"},
		{events.Errorf(events.CodeStorageFull, ""), "unavailable"},
		{context.Canceled, "cancelled"},
		{errors.New("disk"), "error"},
	} {
		if got := resultOf(row.err); got != row.want {
			t.Errorf("resultOf(%v) = %s, want %s", row.err, got, row.want)
		}
	}
}
