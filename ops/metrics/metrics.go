package metrics

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Config is what is known when the process starts.
type Config struct {
	// Version of the program; "" = "dev".
	Version string
	// Started is when the server began; zero = now.
	Started time.Time
	// Logger is told of values that could not be had; nil = none.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Version == "" {
		c.Version = "dev"
	}
	if c.Started.IsZero() {
		c.Started = time.Now()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Metrics holds the registry. Its methods are safe for concurrent use, and those
// that count cost no more than a few hundred nanoseconds.
type Metrics struct {
	cfg      Config
	registry *prometheus.Registry
	hot      hot
}

// New returns the metrics of one server.
func New(cfg Config, sources Sources) (*Metrics, error) {
	m := &Metrics{cfg: cfg.withDefaults(), registry: prometheus.NewRegistry(), hot: newHot()}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "kanban_build_info", Help: "1, with the version of the program and of Go as labels.",
		ConstLabels: prometheus.Labels{"version": m.cfg.Version, "go_version": runtime.Version()},
	})
	build.Set(1)
	started := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "kanban_start_time_seconds", Help: "When the server began to start, in seconds since 1970.",
	})
	started.Set(float64(m.cfg.Started.UnixMilli()) / 1000)
	all := append(m.hot.collectors(), build, started,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	var errs []error
	for _, c := range all {
		errs = append(errs, m.registry.Register(c))
	}
	if err := errors.Join(append(errs, sources.register(m.registry))...); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return m, nil
}

// Handler writes every metric in the format that the caller asks for. Who may
// call it is for the server to decide. Four scrapes at most run at once, and a
// value that cannot be had spoils no other.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(m.cfg.Logger.Handler(), slog.LevelWarn), ErrorHandling: promhttp.ContinueOnError,
		MaxRequestsInFlight: 4, Timeout: 20 * time.Second,
	})
}
