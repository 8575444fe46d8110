package tracing

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

// keeper remembers spans; they survive the exporter's shutdown.
type keeper struct {
	mu    sync.Mutex
	spans tracetest.SpanStubs
}

func (k *keeper) ExportSpans(_ context.Context, spans []sdk.ReadOnlySpan) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.spans = append(k.spans, tracetest.SpanStubsFromReadOnlySpans(spans)...)
	return nil
}

func (k *keeper) Shutdown(context.Context) error { return nil }

// named returns the only span of that name.
func (k *keeper) named(t *testing.T, name string) tracetest.SpanStub {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	var found tracetest.SpanStubs
	names := make([]string, 0, len(k.spans))
	for _, s := range k.spans {
		names = append(names, s.Name)
		if s.Name == name {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d spans are named %q among %q", len(found), name, names)
	}
	return found[0]
}

func value(s tracetest.SpanStub, key string) string {
	for _, a := range s.Attributes {
		if a.Key == attribute.Key(key) {
			return a.Value.String()
		}
	}
	return ""
}

func start(t *testing.T) (*Tracer, *keeper) {
	t.Helper()
	k := &keeper{}
	tr, err := Start(t.Context(), Config{Version: "v1", exporter: k})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.Stop)
	return tr, k
}

func sequencer(tb testing.TB, o commands.Observer, publish func([]events.Envelope)) *commands.Sequencer {
	tb.Helper()
	db, err := sqlstore.Open(tb.Context(), sqlstore.Options{Path: filepath.Join(tb.TempDir(), "test.db"), Create: true, Synchronous: "NORMAL"})
	if err != nil {
		tb.Fatal(err)
	}
	seq, err := commands.New(commands.Config{Store: db, Observer: o, Publish: publish})
	if err != nil {
		tb.Fatal(err)
	}
	seq.Start()
	tb.Cleanup(func() {
		seq.Stop()
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return seq
}

var system = commands.Meta{Actor: events.SystemActor, Trusted: true}

const (
	callersTrace = "0af7651916cd43dd8448eb211c80319c"
	callersSpan  = "b7ad6b7169203331"
)

// One trace leads from the caller through the request, the command and the rows,
// and the message on the bus names it.
func TestOneTrace(t *testing.T) {
	t.Parallel()
	tr, k := start(t)
	begin, traceparent, applied := tr.HTTP(), tr.Traceparent(), tr.Applied()
	begins, committed := tr.Commands()
	var header string
	var batch []events.Envelope
	seq := sequencer(t, commands.Observer{Start: begins, Committed: committed}, func(b []events.Envelope) {
		batch = b // the relay reads at this time, the projections a little later
		header = traceparent(b[0].Position)
	})

	r := httptest.NewRequest("POST", "/api/boards/WEB?secret=1", nil)
	r.Header.Set("Traceparent", "00-"+callersTrace+"-"+callersSpan+"-01")
	ctx, end := begin(r, "/api/boards/:id", "req-1")
	receipt, err := seq.Do(ctx, system, commands.CreateBoard{Name: "Confidential", Key: "WEB"})
	if err != nil {
		t.Fatal(err)
	}
	applied([][]events.Envelope{batch}, time.Now())
	end(201)
	tr.Stop()

	request, command, rows := k.named(t, "POST /api/boards/:id"), k.named(t, "command create_board"), k.named(t, "apply board_created")
	if got := request.SpanContext.TraceID().String(); got != callersTrace || request.Parent.SpanID().String() != callersSpan {
		t.Errorf("the request is in trace %s under %s", got, request.Parent.SpanID())
	}
	for _, row := range []struct{ child, parent tracetest.SpanStub }{{command, request}, {rows, command}} {
		if row.child.Parent.SpanID() != row.parent.SpanContext.SpanID() || row.child.SpanContext.TraceID() != request.SpanContext.TraceID() {
			t.Errorf("%s is not below %s", row.child.Name, row.parent.Name)
		}
	}
	if want := "00-" + callersTrace + "-" + command.SpanContext.SpanID().String() + "-01"; header != want {
		t.Errorf("traceparent of the message = %q, want %q", header, want)
	}
	for _, row := range []struct {
		span      tracetest.SpanStub
		key, want string
	}{
		{request, "http.route", "/api/boards/:id"},
		{request, "http.response.status_code", "201"},
		{request, "kanban.request_id", "req-1"},
		{command, "kanban.command.type", "create_board"},
		{command, "kanban.result", "ok"},
		{command, "kanban.position", itoa(receipt.Position)},
		{rows, "kanban.position", itoa(receipt.Position)},
	} {
		if got := value(row.span, row.key); got != row.want {
			t.Errorf("%s: %s = %q, want %q", row.span.Name, row.key, got, row.want)
		}
	}
	for _, s := range k.spans {
		for _, a := range s.Attributes {
			if strings.Contains(a.Value.String(), "Confidential") || strings.Contains(a.Value.String(), "secret") {
				t.Errorf("%s tells %s = %s", s.Name, a.Key, a.Value.String())
			}
		}
	}
}

func itoa(n int64) string { return attribute.Int64("", n).Value.String() }

// A refusal is a result and no error; what fails in the server is one.
func TestRefusals(t *testing.T) {
	t.Parallel()
	tr, k := start(t)
	begins, committed := tr.Commands()
	seq := sequencer(t, commands.Observer{Start: begins, Committed: committed}, nil)
	if _, err := seq.Do(t.Context(), system, commands.ArchiveBoard{Board: "WEB"}); events.CodeOf(err) != events.CodeNotFound {
		t.Fatalf("archive a board that there is not: %v", err)
	}
	_, end := begins(t.Context(), []commands.Command{commands.CreateBoard{}})
	end(commands.Receipt{}, errors.New("disk"))
	_, ended := tr.HTTP()(httptest.NewRequest("BREW", "/pot", nil), "", "req")
	ended(503)
	for _, path := range []string{"/health", "/metrics", "/ws/connect"} {
		_, ended := tr.HTTP()(httptest.NewRequest("GET", path, nil), path, "req")
		ended(200)
	}
	tr.Stop()
	if s := k.named(t, "command archive_board"); value(s, "kanban.result") != "not_found" || s.Status.Code != 0 {
		t.Errorf("a refusal: %v, %v", s.Attributes, s.Status)
	}
	if s := k.named(t, "command create_board"); value(s, "kanban.result") != "internal" || s.Status.Code == 0 {
		t.Errorf("a failure: %v, %v", s.Attributes, s.Status)
	}
	if s := k.named(t, "_OTHER unmatched"); s.Status.Code == 0 {
		t.Errorf("a 503: %v", s.Status)
	}
	if len(k.spans) != 3 {
		t.Errorf("%d spans, want 3: what is asked all the time has none", len(k.spans))
	}
}

// The memory of positions is bounded: the oldest are forgotten.
func TestRecent(t *testing.T) {
	t.Parallel()
	var r recent
	if r.get(1).IsValid() || r.get(0).IsValid() || r.get(-1).IsValid() {
		t.Error("something is known before anything was put")
	}
	span := func(n byte) trace.SpanContext {
		return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{n}, SpanID: trace.SpanID{n}})
	}
	r.put(1, 3, span(1))
	r.put(4, 4, span(2))
	for position, want := range map[int64]trace.SpanContext{1: span(1), 3: span(1), 4: span(2), 5: {}, 1 + kept: {}} {
		if got := r.get(position); !got.Equal(want) {
			t.Errorf("get(%d) = %v, want %v", position, got, want)
		}
	}
	r.put(kept, 2*kept, span(3))
	if r.get(1).IsValid() || r.get(4).IsValid() || !r.get(2*kept).Equal(span(3)) || len(r.entries) != kept {
		t.Errorf("after many more: %d entries", len(r.entries))
	}
}

// Off is nil, and nil hooks cost nothing: not one allocation more per command.
func TestOffCostsNothing(t *testing.T) {
	off, err := Start(t.Context(), Config{})
	if off != nil || err != nil {
		t.Fatalf("Start without an endpoint = %v, %v", off, err)
	}
	begins, committed := off.Commands()
	if off.HTTP() != nil || begins != nil || committed != nil || off.Traceparent() != nil || off.Applied() != nil {
		t.Error("tracing that is off has hooks")
	}
	off.Stop()
	// A command that changes nothing, so that the log does not grow meanwhile.
	allocs := func(o commands.Observer) float64 {
		seq := sequencer(t, o, nil)
		if _, err := seq.Do(t.Context(), system, commands.CreateBoard{Name: "Web", Key: "WEB"}); err != nil {
			t.Fatal(err)
		}
		return testing.AllocsPerRun(200, func() {
			if _, err := seq.Do(t.Context(), system, commands.UpdateBoard{Board: "WEB"}); err != nil {
				t.Fatal(err)
			}
		})
	}
	none, with := allocs(commands.Observer{}), allocs(commands.Observer{Start: begins, Committed: committed})
	if none != with {
		t.Errorf("a command allocates %v times without hooks and %v times with tracing off", none, with)
	}
}

func TestCheckEndpoint(t *testing.T) {
	t.Parallel()
	for endpoint, good := range map[string]bool{
		"http://localhost:4318": true, "https://otel.example.com/base": true, "localhost:4318": false, "ftp://x": false, "http://": false, "": false,
	} {
		if err := CheckEndpoint(endpoint); (err == nil) != good {
			t.Errorf("CheckEndpoint(%q) = %v", endpoint, err)
		}
	}
	const secret = "hunter2"
	if _, err := Start(t.Context(), Config{Endpoint: "tcp://me:" + secret + "@host"}); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("Start with another scheme: %v", err)
	}
}

// warnings counts the lines of a log.
type warnings struct {
	mu    sync.Mutex
	lines []string
}

func (w *warnings) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, string(p))
	return len(p), nil
}

// A collector that is away, or that takes the connection and never answers,
// costs one warning; the stop does not wait for it.
func TestDeadCollector(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer silent.Close()
	defer close(release)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	away := "http://" + ln.Addr().String()
	ln.Close()
	for name, endpoint := range map[string]string{"away": away, "silent": silent.URL} {
		log := &warnings{}
		tr, err := Start(t.Context(), Config{Endpoint: endpoint, Logger: slog.New(slog.NewTextHandler(log, nil)), StopTime: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		begin := tr.HTTP()
		for range 5000 { // more than the queue holds
			_, end := begin(httptest.NewRequest("GET", "/api/boards", nil), "/api/boards", "req")
			end(200)
		}
		tr.Stop()
		tr.Stop()
		log.mu.Lock()
		if len(log.lines) != 1 || !strings.Contains(log.lines[0], "traces do not get through") {
			t.Errorf("%s: the log says %q, want one warning", name, log.lines)
		}
		log.mu.Unlock()
	}
}

// stuck takes spans and never returns by itself.
type stuck struct{}

func (stuck) ExportSpans(ctx context.Context, _ []sdk.ReadOnlySpan) error {
	<-ctx.Done()
	return ctx.Err()
}
func (stuck) Shutdown(context.Context) error { return nil }

// The stop takes StopTime and no more, however many batches wait.
func TestStopIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tr, err := Start(t.Context(), Config{exporter: stuck{}, StopTime: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		begin := tr.HTTP()
		for range 2000 {
			_, end := begin(httptest.NewRequest("GET", "/api/boards", nil), "/api/boards", "req")
			end(200)
		}
		began := time.Now()
		tr.Stop()
		if took := time.Since(began); took != time.Second {
			t.Errorf("the stop took %s, want the second that it may", took)
		}
	})
}

// broken fails as long as it is told to.
type broken struct{ err error }

func (b *broken) ExportSpans(context.Context, []sdk.ReadOnlySpan) error { return b.err }
func (b *broken) Shutdown(context.Context) error                        { return nil }

func TestExporterTellsOnce(t *testing.T) {
	t.Parallel()
	log, to := &warnings{}, &broken{errors.New("refused")}
	e := &exporter{to: to, log: slog.New(slog.NewTextHandler(log, nil)), stopped: t.Context()}
	for _, err := range []error{to.err, to.err, nil, nil, to.err} {
		to.err = err
		if err := e.ExportSpans(t.Context(), nil); err != nil {
			t.Errorf("ExportSpans = %v; the handler of the whole process would print it", err)
		}
	}
	if len(log.lines) != 3 || !strings.Contains(log.lines[1], "again") {
		t.Errorf("the log says %q, want failing, again, failing", log.lines)
	}
}
