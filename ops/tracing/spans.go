package tracing

import (
	"context"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

// HTTP returns what the server calls ahead of each request: it goes on with the
// trace of the caller's traceparent header (W3C Trace Context), or begins one.
// What is asked all the time or open for hours has no span.
func (t *Tracer) HTTP() func(r *http.Request, route, requestID string) (context.Context, func(status int)) {
	if t == nil {
		return nil
	}
	return func(r *http.Request, route, requestID string) (context.Context, func(status int)) {
		if route == "/metrics" || route == "/ws/connect" || strings.HasPrefix(route, "/health") || route == "/api/health" {
			return r.Context(), func(int) {}
		}
		name := route
		if name == "" {
			name = "unmatched"
		}
		ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := t.tracer.Start(ctx, method(r.Method)+" "+name, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
			attribute.String("http.request.method", method(r.Method)), attribute.String("http.route", name),
			attribute.String("kanban.request_id", requestID)))
		return ctx, func(status int) {
			span.SetAttributes(attribute.Int("http.response.status_code", status))
			if status >= http.StatusInternalServerError {
				span.SetStatus(codes.Error, http.StatusText(status))
			}
			span.End()
		}
	}
}

// method keeps what callers may invent out of names.
func method(name string) string {
	switch name {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return name
	}
	return "_OTHER"
}

// Commands returns what the Sequencer calls: start with each call, committed when
// its events are durable.
func (t *Tracer) Commands() (
	start func(ctx context.Context, cmds []commands.Command) (context.Context, func(commands.Receipt, error)),
	committed func(ctx context.Context, r commands.Receipt),
) {
	if t == nil {
		return nil, nil
	}
	return t.startCommand, t.committed
}

func (t *Tracer) startCommand(ctx context.Context, cmds []commands.Command) (context.Context, func(commands.Receipt, error)) {
	kind := "none"
	if len(cmds) > 0 {
		kind = cmds[0].CommandType()
	}
	ctx, span := t.tracer.Start(ctx, "command "+kind, trace.WithAttributes(
		attribute.String("kanban.command.type", kind), attribute.Int("kanban.command.count", len(cmds))))
	return ctx, func(r commands.Receipt, err error) {
		result := "ok"
		if err != nil {
			code := events.CodeOf(err)
			result = string(code)
			if code == events.CodeInternal || code == events.CodeStorageFull {
				span.SetStatus(codes.Error, result)
			}
		} else {
			span.SetAttributes(attribute.Int64("kanban.position", r.Position), attribute.Int("kanban.events", len(r.Events)),
				attribute.Bool("kanban.repeated", r.Repeated))
		}
		span.SetAttributes(attribute.String("kanban.result", result))
		span.End()
	}
}

func (t *Tracer) committed(ctx context.Context, r commands.Receipt) {
	span := trace.SpanContextFromContext(ctx)
	if !span.IsSampled() {
		return
	}
	t.recent.put(r.Events[0].Position, r.Events[len(r.Events)-1].Position, span)
}

// Traceparent returns what names the trace of the event at a position (W3C Trace
// Context), "" where there is none. The relay puts it on the event's message.
func (t *Tracer) Traceparent() func(position int64) string {
	if t == nil {
		return nil
	}
	return func(position int64) string {
		span := t.recent.get(position)
		if !span.IsValid() {
			return ""
		}
		carrier := propagation.MapCarrier{}
		propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(context.Background(), span), carrier)
		return carrier["traceparent"]
	}
}

// Applied returns what the projections call after each transaction: every command
// whose events were in it gets a span of that time, since it is in its trace that
// somebody asks when the rows were there.
func (t *Tracer) Applied() func(batches [][]events.Envelope, began time.Time) {
	if t == nil {
		return nil
	}
	return t.applied
}

func (t *Tracer) applied(batches [][]events.Envelope, began time.Time) {
	ended := time.Now()
	var last trace.SpanContext
	for _, batch := range batches {
		for i := range batch {
			cause := t.recent.get(batch[i].Position)
			// The events of a command follow each other.
			if !cause.IsValid() || cause.Equal(last) {
				continue
			}
			last = cause
			_, span := t.tracer.Start(trace.ContextWithSpanContext(context.Background(), cause), "apply "+string(batch[i].Type),
				trace.WithTimestamp(began), trace.WithSpanKind(trace.SpanKindConsumer),
				trace.WithAttributes(attribute.Int64("kanban.position", batch[i].Position), attribute.String("kanban.event.type", string(batch[i].Type))))
			span.End(trace.WithTimestamp(ended))
		}
	}
}
