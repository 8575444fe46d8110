package mcp

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/http/client"
)

// A command whose reply had to wait for the read model is asked for again under
// the same key, so that it happens once; a refusal is not.
func TestInProcessAsksAgain(t *testing.T) {
	t.Parallel()
	var keys, bodies []string
	status := []int{503, 503, 200}
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		keys, bodies = append(keys, r.Header.Get("Idempotency-Key")), append(bodies, string(body))
		if r.Header.Get("Authorization") != "Bearer of the caller" || r.RemoteAddr != "192.0.2.1:1234" || r.Header.Get("X-Request-Id") != "outer" {
			t.Errorf("the request came as %v from %s", r.Header, r.RemoteAddr)
		}
		w.WriteHeader(status[(len(keys)-1)%len(status)])
		_, _ = w.Write([]byte(`{}`))
	})
	outer := httptest.NewRequest("POST", "/mcp", nil)
	outer.Header.Set("Authorization", "Bearer of the caller")
	outer.Header.Set("Cookie", "private=1")
	inside := &inProcess{api: api, outer: outer, requestID: "outer", pause: time.Millisecond}
	c, err := client.New(client.Config{URL: "http://kanban", HTTP: &http.Client{Transport: inside}, Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Run(t.Context(), commands.AddComment{Ticket: "WEB-1", Text: "once"}); err != nil {
		t.Errorf("run: %v", err)
	}
	if len(keys) != 3 || keys[0] == "" || keys[0] != keys[2] || bodies[0] != bodies[2] || bodies[0] == "" {
		t.Errorf("keys %v, bodies %v, want the same three times", keys, bodies)
	}
	status = []int{429}
	if _, err := c.Run(t.Context(), commands.AddComment{Ticket: "WEB-1", Text: "too fast"}); err == nil || len(keys) != 4 {
		t.Errorf("after 429: %v, %d requests, want a refusal and one more", err, len(keys))
	}
}
