package http

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/gorilla/websocket"
)

// What logs and metrics get of each request: its path as it was sent, nobody's
// query string, and who it was.
func TestRequestsAreTold(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var told []Request
	a := newApp(t, func(c *Config, _ *Deps) {
		c.Observer.Done = func(r *Request) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, *r)
		}
	})
	token := a.user("ann", true)
	for _, test := range []struct {
		method, path, token string
		want                Request
	}{
		{"GET", "/api/boards/?limit=1&ticket=secret", token, Request{Path: "/api/boards", Status: 200, Principal: "human:1"}},
		{"GET", "/api/boards/A%20B%0a?token=secret", "", Request{Path: "/api/boards/A%20B%0a", Status: 401}},
		{"POST", "/nowhere", "", Request{Path: "/nowhere", Status: 404}},
		{"HEAD", "/health", "", Request{Path: "/health", Status: 200}},
	} {
		mu.Lock()
		told = nil
		mu.Unlock()
		req, err := http.NewRequestWithContext(t.Context(), test.method, a.url+test.path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if test.token != "" {
			req.Header.Set("Authorization", "Bearer "+test.token)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		mu.Lock()
		if len(told) != 1 {
			t.Fatalf("%s %s: told %d times", test.method, test.path, len(told))
		}
		got := told[0]
		mu.Unlock()
		if got.Path != test.want.Path || got.Status != test.want.Status || got.Principal != test.want.Principal ||
			got.Peer != "127.0.0.1" || got.Proto != "HTTP/1.1" || got.Took <= 0 || got.Time.IsZero() || got.ID != res.Header.Get("X-Request-ID") {
			t.Errorf("%s %s: told %+v, want %+v", test.method, test.path, got, test.want)
		}
		if res.StatusCode == 200 && test.method == "GET" && got.Bytes == 0 {
			t.Errorf("%s: no bytes", test.path)
		}
	}
}

func TestAWebSocketIsToldAtItsEnd(t *testing.T) {
	t.Parallel()
	told := make(chan Request, 10)
	a := newApp(t, func(c *Config, _ *Deps) { c.Observer.Done = func(r *Request) { told <- *r } })
	ws, res, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(a.url, "http")+"/ws/connect", http.Header{"Authorization": {"Bearer " + a.user("ann", true)}})
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	ws.Close()
	for r := range told {
		if r.Path != "/ws/connect" {
			continue
		}
		if r.Status != http.StatusSwitchingProtocols || r.Principal != "human:1" {
			t.Errorf("told %+v", r)
		}
		return
	}
}
