package tracing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Config says where spans go.
type Config struct {
	// Endpoint is the base address of a collector that speaks OTLP over HTTP
	// ("http://localhost:4318"); "" = tracing is off. Headers, sampling and the
	// rest come from the variables of OpenTelemetry in the environment.
	Endpoint string
	// Version is the program's; "" = "dev".
	Version string
	// Logger is told when the collector is away and when it is back; nil = none.
	Logger *slog.Logger
	// StopTime bounds Stop; 0 = 2 s.
	StopTime time.Duration

	exporter sdk.SpanExporter // of tests; wins over Endpoint
}

func (c Config) withDefaults() Config {
	c.Version = cmp.Or(c.Version, "dev")
	c.StopTime = cmp.Or(c.StopTime, 2*time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// CheckEndpoint says what is wrong with an address of a collector, nil if it can
// be used. The address is not repeated: it may hold a password.
func CheckEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("want an address like http://localhost:4318")
	}
	return nil
}

// exportTimeout bounds one attempt to hand over spans.
const exportTimeout = 5 * time.Second

// Tracer makes spans. Its methods may be called on nil, which is off.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	exporter *exporter
	recent   recent
	stopTime time.Duration
	halt     context.CancelFunc
}

// Start returns a Tracer that hands its spans to the collector, nil where tracing
// is off. It does not wait for the collector: that may come later.
func Start(ctx context.Context, cfg Config) (*Tracer, error) {
	cfg = cfg.withDefaults()
	to := cfg.exporter
	if to == nil {
		if cfg.Endpoint == "" {
			return nil, nil //nolint:nilnil // nil is a Tracer, switched off
		}
		if err := CheckEndpoint(cfg.Endpoint); err != nil {
			return nil, fmt.Errorf("start tracing: %w", err)
		}
		address, err := url.JoinPath(cfg.Endpoint, "v1", "traces")
		if err != nil {
			return nil, errors.New("start tracing: the address of the collector cannot be read")
		}
		// Without retries: they would pile up while the collector is away, and the
		// queue behind them is full soon anyway.
		to, err = otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(address), otlptracehttp.WithTimeout(exportTimeout),
			otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: false}))
		if err != nil {
			return nil, fmt.Errorf("start tracing: %w", err)
		}
	}
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.name", "kanban"), attribute.String("service.version", cfg.Version)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("start tracing: %w", err)
	}
	stopped, halt := context.WithCancel(context.WithoutCancel(ctx))
	out := &exporter{to: to, log: cfg.Logger, stopped: stopped}
	provider := sdk.NewTracerProvider(sdk.WithResource(about), sdk.WithBatcher(out, sdk.WithExportTimeout(exportTimeout)))
	return &Tracer{
		provider: provider, exporter: out, tracer: provider.Tracer("github.com/agent-kanban/agent-kanban"), stopTime: cfg.StopTime, halt: halt,
	}, nil
}

// Stop hands over the spans that are waiting, for at most StopTime. It is safe
// twice.
func (t *Tracer) Stop() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), t.stopTime)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // the exporter has told what was to tell
	t.halt()
	t.exporter.wait()
}
