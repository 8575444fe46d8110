package tracing

import (
	"context"
	"log/slog"
	"sync/atomic"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// exporter stands between the queue of spans and the collector. It keeps errors
// from the process-wide handler of OpenTelemetry, which would print each of them,
// and ends what is under way when the server has to stop.
type exporter struct {
	to      sdk.SpanExporter
	log     *slog.Logger
	stopped context.Context // ends exports
	failing atomic.Bool
}

var _ sdk.SpanExporter = (*exporter)(nil)

// ExportSpans implements sdk.SpanExporter. Spans that do not get through are
// lost; the first failure and the first success after it are logged.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.stopped, cancel)()
	err := e.to.ExportSpans(ctx, spans)
	switch {
	case err != nil && !e.failing.Swap(true):
		e.log.Warn("traces do not get through; they are dropped until the collector answers", "spans", len(spans), "error", err)
	case err == nil && e.failing.Swap(false):
		e.log.Info("traces get through again")
	}
	return nil
}

// Shutdown implements sdk.SpanExporter.
func (e *exporter) Shutdown(ctx context.Context) error { return e.to.Shutdown(ctx) }
