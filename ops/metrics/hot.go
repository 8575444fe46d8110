package metrics

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/agent-kanban/agent-kanban/events"
)

// hot are the metrics that are counted where things happen.
type hot struct {
	appended prometheus.Counter
	batch    prometheus.Histogram
	insert   prometheus.Histogram
	commit   prometheus.Histogram
	commands *prometheus.CounterVec
	waited   prometheus.Histogram
	expired  prometheus.Counter
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
	limited  *prometheus.CounterVec
}

// Buckets in seconds: an fsync takes from 50 µs (a disk with a battery) to
// seconds (one that dies); a request adds the network.
var (
	diskBuckets    = []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5}
	requestBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10}
)

func newHot() hot {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	}
	return hot{
		appended: counter("kanban_log_events_appended_total", "Events that this process appended to the log."),
		batch: histogram("kanban_log_batch_events", "Events in one durable transaction of the log; those without events are left out.",
			[]float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 1024}),
		insert: histogram("kanban_log_append_seconds", "Time to insert the events of one transaction, before it is committed.", diskBuckets),
		commit: histogram("kanban_log_commit_seconds", "Time to commit one durable transaction: mostly the fsync.", diskBuckets),
		commands: counters("kanban_commands_total",
			"Commands by type and result: ok, invalid, denied, refused by the state, cancelled by the caller, unavailable, error.", "type", "result"),
		waited: histogram("kanban_command_duration_seconds",
			"Time from a command's arrival at the sequencer to its outcome, the wait for its turn and the commit included.", diskBuckets),
		expired: counter("kanban_leases_expired_total", "Claims that ended because their lease ran out."),
		requests: counters("kanban_http_requests_total",
			"HTTP requests by route pattern, method and status; those that MCP tools make inside count too.", "route", "method", "status"),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kanban_http_request_duration_seconds", Buckets: requestBuckets,
			Help: "Time to answer a request; WebSockets, event streams, MCP and requests that wait on purpose are left out.",
		}, []string{"route", "method"}),
		limited: counters("kanban_rate_limited_total", "Requests that were refused with 429, by the limit that they met.", "scope"),
	}
}

func (h *hot) collectors() []prometheus.Collector {
	return []prometheus.Collector{h.appended, h.batch, h.insert, h.commit, h.commands, h.waited, h.expired, h.requests, h.took, h.limited}
}

// Command counts one command with its outcome, and how long it took from its
// arrival. Of a list that was refused, every command counts as refused.
func (m *Metrics) Command(kind string, err error, took time.Duration) {
	result := resultOf(err)
	m.hot.commands.WithLabelValues(kind, result).Inc()
	m.hot.waited.Observe(took.Seconds())
	if kind == "expire_lease" && result == "ok" {
		m.hot.expired.Inc()
	}
}

// Append notes one transaction of the log: so many events, the time to insert
// them and the time to commit. A transaction without events (a heartbeat) counts
// for the commit alone.
func (m *Metrics) Append(count int, insert, commit time.Duration) {
	m.hot.commit.Observe(commit.Seconds())
	if count == 0 {
		return
	}
	m.hot.appended.Add(float64(count))
	m.hot.batch.Observe(float64(count))
	m.hot.insert.Observe(insert.Seconds())
}

// Request counts one HTTP request. route is the pattern, "" where none matched;
// timed is false for what is open as long as the client likes.
func (m *Metrics) Request(route, method string, status int, took time.Duration, timed bool) {
	if route == "" {
		route = "unmatched"
	}
	method = known(method)
	m.hot.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	if timed {
		m.hot.took.WithLabelValues(route, method).Observe(took.Seconds())
	}
}

// RateLimited counts a request that a limit refused; scope names the limit and
// is one of a few words.
func (m *Metrics) RateLimited(scope string) { m.hot.limited.WithLabelValues(scope).Inc() }

// known keeps callers from making series: a method is whatever they send.
func known(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return method
	}
	return "other"
}

// resultOf is the class of an outcome: few enough for a label of every command.
func resultOf(err error) string {
	if err == nil {
		return "ok"
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return "cancelled"
	}
	switch events.CodeOf(err) {
	case events.CodeInvalid, events.CodeTooLarge, events.CodeIdempotencyReused, events.CodeMethodNotAllowed:
		return "invalid"
	case events.CodeUnauthenticated, events.CodeForbidden, events.CodeNotFound, events.CodePaused, events.CodeRateLimited:
		return "denied"
	case events.CodeUnavailable, events.CodeStorageFull:
		return "unavailable"
	case events.CodeInternal:
		return "error"
	}
	return "refused"
}
