package http

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/webhook"
)

// hooks starts a dispatcher that gives an event up at once.
func (a *app) hooks(deps *Deps) {
	a.t.Helper()
	allow, err := webhook.ParseAllow([]string{"127.0.0.1"})
	if err != nil {
		a.t.Fatal(err)
	}
	a.webhooks, err = webhook.New(webhook.Config{
		Reader: a.db.Reader(), DB: a.db, Log: a.db, Allow: allow, Backoff: []time.Duration{},
		Logger:    slog.New(slog.NewTextHandler(a.logs, nil)),
		Subscribe: func(after int64) webhook.Subscription { return &cursor{a.tail, after} },
		SwitchOff: func(ctx context.Context, board, id int64, reason string) error {
			off := false
			_, err := a.seq.Do(ctx, commands.Meta{
				Actor: events.SystemActor, Trusted: true,
				With: func(ctx context.Context, tx *sql.Tx, _ commands.Receipt) error {
					return a.webhooks.SwitchOff(ctx, tx, id, reason)
				},
			}, commands.UpdateWebhook{Board: commands.RefID(board), WebhookID: id, Active: &off})
			return err
		},
	})
	if err == nil {
		err = a.webhooks.Start(a.t.Context())
	}
	if err != nil {
		a.t.Fatal(err)
	}
	deps.Webhooks = a.webhooks
}

type hookMessage struct {
	header http.Header
	body   []byte
}

// hookReceiver answers with what status returns.
func hookReceiver(t *testing.T, status func() int) (url string, got chan hookMessage) {
	t.Helper()
	got = make(chan hookMessage, 1000)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		code := status()
		w.WriteHeader(code)
		got <- hookMessage{r.Header.Clone(), body}
	}))
	t.Cleanup(srv.Close)
	return srv.URL + "/T0PS3CRET", got
}

func arrival(t *testing.T, got chan hookMessage) hookMessage {
	t.Helper()
	select {
	case m := <-got:
		return m
	case <-time.After(20 * time.Second):
		t.Fatal("the receiver got nothing")
		return hookMessage{}
	}
}

// arrivalOf is the next arrival with text in it: what was not yet noted as
// delivered when the server had to begin again comes twice.
func arrivalOf(t *testing.T, got chan hookMessage, text string) hookMessage {
	t.Helper()
	for {
		if m := arrival(t, got); strings.Contains(string(m.body), text) {
			return m
		}
	}
}

func TestWebhookLife(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board()
	ann := a.user("ann", false)
	url, got := hookReceiver(t, func() int { return 200 })
	base := "/api/boards/WEB/webhooks"
	order := fmt.Sprintf(`{"url":%q,"types":["ticket_created"]}`, url)
	first := a.do("POST", base, ann, order, "Idempotency-Key: once").want(201)
	var hook webhookView
	first.json(&hook)
	if !strings.HasPrefix(hook.Secret, "whsec_") || hook.ID != 1 || !hook.Active || strings.Contains(first.body, "T0PS3CRET") || hook.BoardID != id {
		t.Errorf("made: got %s", first.body)
	}
	if loc := first.header.Get("Location"); loc != "/api/boards/1/webhooks/1" {
		t.Errorf("location: got %q", loc)
	}
	if r := a.do("POST", base, ann, order, "Idempotency-Key: once").want(409); strings.Contains(r.body, hook.Secret) {
		t.Errorf("repeated: %s shows the secret again", r.body)
	}
	a.ticket(ann, id, "Hello")
	m := arrival(t, got)
	v, err := standardwebhooks.NewWebhook(hook.Secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Verify(m.body, m.header); err != nil || !strings.Contains(string(m.body), `"title":"Hello"`) {
		t.Errorf("delivery: %v, body %s", err, m.body)
	}

	// A new secret signs beside the old one.
	var rotated webhookView
	a.do("PATCH", base+"/1", ann, `{"rotate_secret":true}`, "Prefer: return=minimal").want(200).json(&rotated)
	if rotated.Secret == hook.Secret || !strings.HasPrefix(rotated.Secret, "whsec_") || rotated.OldSecretUntil == nil {
		t.Errorf("rotated: got %+v, want another secret, and until when the old one signs", rotated)
	}
	var test webhookTest
	a.do("POST", base+"/1/test", ann, "").want(200).json(&test)
	m = arrivalOf(t, got, "webhook_test") // "Hello" may come twice: it had not been noted when the secret changed
	now, _ := standardwebhooks.NewWebhook(rotated.Secret)
	if !test.OK || test.Status != 200 || v.Verify(m.body, m.header) != nil || now.Verify(m.body, m.header) != nil {
		t.Errorf("test: got %+v, body %s; want both secrets to sign", test, m.body)
	}

	// From the beginning again.
	a.do("POST", base+"/1/replay", ann, `{"from_position":1}`).want(200)
	arrivalOf(t, got, `"title":"Hello"`)
	var off webhookView
	a.do("PATCH", base+"/1", ann, `{"types":[],"active":false}`).want(200).json(&off)
	if off.Active || len(off.Types) != 0 || off.Secret != "" {
		t.Errorf("switched off for all types: got %+v", off)
	}
	a.do("POST", base+"/1/replay", ann, "").want(409)
	a.do("DELETE", base+"/1", ann, "").want(204)
	a.do("GET", base+"/1", ann, "").want(404)
	if r := a.do("GET", base, ann, "").want(200); !strings.Contains(r.body, `"items":[]`) {
		t.Errorf("list after delete: %s", r.body)
	}
	for e, err := range events.All(t.Context(), a.db, events.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"T0PS3CRET", "whsec_"} {
			if strings.Contains(string(e.JSON()), secret) {
				t.Errorf("event %d has %q: %s", e.Position, secret, e.JSON())
			}
		}
	}
	for _, secret := range []string{"T0PS3CRET", "whsec_"} {
		if strings.Contains(a.logs.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

func TestDeadLetterRoutes(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board()
	ann := a.user("ann", false)
	code := make(chan int, 10)
	url, got := hookReceiver(t, func() int { return <-code })
	base := "/api/boards/WEB/webhooks/1"
	a.do("POST", "/api/boards/WEB/webhooks", ann, fmt.Sprintf(`{"url":%q,"types":["ticket_created"]}`, url)).want(201)
	for _, title := range []string{"one", "two", "three"} {
		code <- 404
		a.ticket(ann, id, title)
		arrival(t, got)
	}
	// A fourth, which is delivered, says that the others are written down.
	code <- 200
	a.ticket(ann, id, "four")
	arrival(t, got)
	var page list[deadLetterView]
	r := a.do("GET", base+"/deliveries?limit=2", ann, "").want(200)
	r.json(&page)
	if page.Total != 3 || len(page.Items) != 2 || page.NextCursor == nil || page.Items[0].Status != 404 || page.Items[0].Attempts != 1 || strings.Contains(r.body, "T0PS3CRET") {
		t.Fatalf("first page: got %s", r.body)
	}
	letter := page.Items[0]
	a.do("GET", base+"/deliveries?cursor="+*page.NextCursor, ann, "").want(200).json(&page)
	if len(page.Items) != 1 || page.NextCursor != nil {
		t.Errorf("second page: got %+v, want the last one", page)
	}
	code <- 200
	a.do("POST", base+"/replay", ann, fmt.Sprintf(`{"delivery":%d}`, letter.ID)).want(200)
	if m := arrival(t, got); !strings.Contains(string(m.body), `"title":"one"`) {
		t.Errorf("replay of one: got %s", m.body)
	}
	code <- 200
	code <- 200
	a.do("POST", base+"/replay", ann, "").want(200)
	for _, title := range []string{"two", "three"} {
		if m := arrival(t, got); !strings.Contains(string(m.body), title) {
			t.Errorf("replay of all: got %s, want %s", m.body, title)
		}
	}
	a.run(t, []scenario{
		{name: "unknown dead letter", method: "POST", url: base + "/replay", user: "ann", body: `{"delivery":99}`, status: 404},
		{name: "both", method: "POST", url: base + "/replay", user: "ann", body: `{"delivery":1,"from_position":1}`, status: 400},
		{name: "from 0", method: "POST", url: base + "/replay", user: "ann", body: `{"from_position":0}`, status: 400, has: []string{"from_position"}},
		{name: "from the future", method: "POST", url: base + "/replay", user: "ann", body: `{"from_position":9999}`, status: 400},
		{name: "bad cursor", method: "GET", url: base + "/deliveries?cursor=x", user: "ann", status: 400},
	})
}

func TestWebhookRefusals(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	a.board("bob", "vera:viewer", "pat:pm")
	a.user("eve", false)
	ann := a.user("ann", false)
	a.do("POST", "/api/boards", ann, `{"name":"Other","key":"OTH"}`).want(201)
	url, _ := hookReceiver(t, func() int { return 200 })
	made := fmt.Sprintf(`{"url":%q}`, url)
	a.do("POST", "/api/boards/WEB/webhooks", ann, made).want(201)
	narrow := a.scoped("ann", `"role":"agent","boards":["WEB"]`)
	other := a.scoped("ann", `"role":"pm","boards":["OTH"]`)
	routes := []struct{ method, path, body string }{
		{"GET", "", ""},
		{"POST", "", made},
		{"GET", "/1", ""},
		{"PATCH", "/1", `{"active":false}`},
		{"POST", "/1/test", ""},
		{"GET", "/1/deliveries", ""},
		{"POST", "/1/replay", ""},
		{"DELETE", "/1", ""},
	}
	var rows []scenario
	for _, r := range routes {
		for user, status := range map[string]int{"bob": 403, "vera": 403, narrow: 403, "eve": 404, other: 404, "": 401} {
			rows = append(rows, scenario{name: "permission", method: r.method, url: "/api/boards/WEB/webhooks" + r.path, user: user, body: r.body, status: status, lacks: []string{"T0PS3CRET", "127.0.0.1"}})
		}
		if r.path != "" { // of another board
			rows = append(rows, scenario{name: "another board", method: r.method, url: "/api/boards/OTH/webhooks" + r.path, user: "ann", body: r.body, status: 404})
		}
	}
	post := func(name, body string, status int, has ...string) scenario {
		return scenario{name: name, method: "POST", url: "/api/boards/WEB/webhooks", user: "ann", body: body, status: status, has: has, lacks: []string{"T0PS3CRET"}}
	}
	rows = append(rows,
		post("no url", `{}`, 400, `"url"`),
		post("no address", `{"url":"T0PS3CRET"}`, 400, `"url"`),
		post("plain http", `{"url":"http://hooks.example/T0PS3CRET"}`, 400, "https"),
		post("userinfo", `{"url":"https://a:T0PS3CRET@hooks.example/"}`, 400),
		post("private", `{"url":"https://10.0.0.1/T0PS3CRET"}`, 400, "private"),
		post("metadata", `{"url":"https://[::ffff:169.254.169.254]/"}`, 400, "private"),
		post("unknown type", fmt.Sprintf(`{"url":%q,"types":["ticket_flew"]}`, url), 400, "ticket_flew"),
		post("from the future", fmt.Sprintf(`{"url":%q,"from_position":999}`, url), 400, "from_position"),
		post("misspelt", `{"ulr":"https://hooks.example/T0PS3CRET"}`, 400, "ulr"),
		scenario{name: "bad url", method: "PATCH", url: "/api/boards/WEB/webhooks/1", user: "ann", body: `{"url":"https://127.1/T0PS3CRET#x"}`, status: 400, lacks: []string{"T0PS3CRET"}},
		scenario{name: "unknown", method: "GET", url: "/api/boards/WEB/webhooks/99", user: "ann", status: 404},
		scenario{name: "not a number", method: "GET", url: "/api/boards/WEB/webhooks/x", user: "ann", status: 400},
		scenario{name: "another pm", method: "GET", url: "/api/boards/WEB/webhooks", user: "pat", status: 200, has: []string{"http://127.0.0.1", "…"}, lacks: []string{"T0PS3CRET", "whsec_"}},
		scenario{name: "not by a list of commands", method: "POST", url: "/api/commands", user: "ann", body: `{"type":"add_webhook","data":{"board":"WEB","host":"h"}}`, status: 400},
	)
	a.run(t, rows)
	if r := a.do("GET", "/api/boards/WEB/webhooks/1", ann, "").want(200); !strings.Contains(r.body, `"active":true`) {
		t.Errorf("a refused change had an effect: %s", r.body)
	}
	// A deleted board takes them along.
	a.do("DELETE", "/api/boards/WEB", ann, "").want(204)
	a.do("GET", "/api/boards/WEB/webhooks", ann, "").want(404)
}
