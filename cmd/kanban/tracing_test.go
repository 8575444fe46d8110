package main

import (
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/agent-kanban/agent-kanban/events/bus"
)

// collected is a collector for OTLP over HTTP that keeps what it gets.
type collected struct {
	mu    sync.Mutex
	spans []*tracepb.Span
	url   string
}

func newCollector(t *testing.T) *collected {
	t.Helper()
	c := &collected{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var req collector.ExportTraceServiceRequest
		if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &req) != nil {
			t.Errorf("%s %s with %d bytes: %v", r.Method, r.URL.Path, len(body), err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, rs := range req.GetResourceSpans() {
			for _, ss := range rs.GetScopeSpans() {
				c.spans = append(c.spans, ss.GetSpans()...)
			}
		}
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// A request's trace, begun by its caller, goes through the whole server: the
// command, the message on the bus, the rows.
func TestTraceThroughAServer(t *testing.T) {
	t.Parallel()
	const trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	c := newCollector(t)
	s := newTestServer(t, t.TempDir())
	s.cfg.OTLPEndpoint = c.url
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, setup, _ := strings.Cut(s.setup, "#token=")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/api/auth/register",
		strings.NewReader(`{"username":"pat","password":"correct horse battery","setup_token":"`+setup+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("traceparent", "00-"+trace+"-"+parent+"-01")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("register: %s", resp.Status)
	}
	head, err := s.db.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	message := messageAt(t, s, head.Position)
	if err := s.close(context.Background()); err != nil {
		t.Fatal(err)
	}

	found := map[string]*tracepb.Span{}
	for _, span := range c.spans {
		if hex.EncodeToString(span.GetTraceId()) == trace {
			found[span.GetName()] = span
		}
	}
	request, command, rows := found["POST /api/auth/register"], found["command register_user"], found["apply user_registered"]
	if request == nil || command == nil || rows == nil {
		t.Fatalf("the trace has %v", found)
	}
	for _, row := range []struct {
		span *tracepb.Span
		want string
	}{{request, parent}, {command, hex.EncodeToString(request.GetSpanId())}, {rows, hex.EncodeToString(command.GetSpanId())}} {
		if got := hex.EncodeToString(row.span.GetParentSpanId()); got != row.want {
			t.Errorf("%s is below %s, want %s", row.span.GetName(), got, row.want)
		}
	}
	if want := "00-" + trace + "-" + hex.EncodeToString(command.GetSpanId()) + "-01"; message != want {
		t.Errorf("the message on the bus says %q, want %q", message, want)
	}
}

// messageAt waits for the message of a position and returns its traceparent.
func messageAt(t *testing.T, s *server, position int64) string {
	t.Helper()
	user, password := s.nats.Credentials()
	conn, err := bus.Connect(t.Context(), "", s.nats, user, password)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := js.OrderedConsumer(t.Context(), bus.StreamName, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: uint64(position),
	})
	if err != nil {
		t.Fatal(err)
	}
	msg, err := consumer.Next(jetstream.FetchContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	return msg.Headers().Get(bus.HeaderTraceparent)
}
