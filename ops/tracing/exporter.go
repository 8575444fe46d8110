package tracing

import (
	"context"
	"log/slog"
	"sync"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// exporter stands between the queue of spans and the collector. It keeps errors
// from the process-wide handler of OpenTelemetry, which would print each of them,
// and ends what is under way when the server has to stop.
type exporter struct {
	to      sdk.SpanExporter
	log     *slog.Logger
	stopped context.Context // ends exports

	mu      sync.Mutex // held while one runs
	failing bool
}

var _ sdk.SpanExporter = (*exporter)(nil)

// ExportSpans implements sdk.SpanExporter. Spans that do not get through are
// lost; the first failure and the first success after it are logged.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped.Err() != nil {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.stopped, cancel)()
	err := e.to.ExportSpans(ctx, spans)
	switch {
	case err != nil && !e.failing:
		e.failing = true
		e.log.Warn("traces do not get through; they are dropped until the collector answers", "spans", len(spans), "error", err)
	case err == nil && e.failing:
		e.failing = false
		e.log.Info("traces get through again")
	}
	return nil
}

// wait returns once no export runs; stopped has ended.
func (e *exporter) wait() {
	e.mu.Lock()
	defer e.mu.Unlock()
}

// Shutdown implements sdk.SpanExporter.
func (e *exporter) Shutdown(ctx context.Context) error { return e.to.Shutdown(ctx) }
