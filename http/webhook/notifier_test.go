package webhook

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/agent-kanban/agent-kanban/auth"
)

// arrival is a message as its receiver sees it.
type arrival struct {
	header http.Header
	body   string
}

// answering is a receiver that answers with the statuses one after the other, then with 200.
func answering(t *testing.T, statuses ...int) (address string, got chan arrival) {
	t.Helper()
	got = make(chan arrival, 100)
	replies := make(chan int, len(statuses))
	for _, s := range statuses {
		replies <- s
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		select {
		case status := <-replies:
			w.WriteHeader(status)
		default:
		}
		got <- arrival{r.Header, string(body)}
	}))
	t.Cleanup(srv.Close)
	return srv.URL + "/hook-T0PSECRET", got
}

func newNotifier(t *testing.T, c NotifierConfig) (*Notifier, *lockedBuffer, *clock) {
	t.Helper()
	allow, err := ParseAllow([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	logs, now := &lockedBuffer{}, &clock{at: time.Now()}
	c.Allow, c.Logger, c.Now, c.Sleep = allow, slog.New(slog.NewTextHandler(logs, nil)), now.now, now.sleep
	n, err := NewNotifier(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Stop)
	n.Start()
	return n, logs, now
}

// A message is signed as events are, and sent again under the same id until it
// is taken.
func TestNotifierSendsAgain(t *testing.T) {
	t.Parallel()
	address, got := answering(t, 500, 429)
	secret := NewSecret()
	n, logs, now := newNotifier(t, NotifierConfig{URL: auth.SecretOf(address), Secret: secret})
	n.Send("one", []byte(`{"type":"alert"}`))
	n.Send("two", []byte(`{}`))
	verifier, err := standardwebhooks.NewWebhook(secret.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for range 4 {
		a := <-got
		ids = append(ids, a.header.Get("webhook-id"))
		if err := verifier.VerifyIgnoringTimestamp([]byte(a.body), a.header); err != nil {
			t.Errorf("signature: %v", err)
		}
	}
	if want := []string{"one", "one", "one", "two"}; !slices.Equal(ids, want) {
		t.Errorf("ids %v, want %v", ids, want)
	}
	if w := now.waited(); !slices.Equal(w, []time.Duration{5 * time.Second, 30 * time.Second}) {
		t.Errorf("waits %v, want the first two", w)
	}
	if text := logs.String(); strings.Contains(text, "T0PSECRET") || strings.Contains(text, secret.Reveal()) || !strings.Contains(text, "status=500") {
		t.Errorf("log: %s", text)
	}
}

// A receiver that never takes it costs a bounded number of attempts, and a
// message without a secret is not signed.
func TestNotifierGivesUp(t *testing.T) {
	t.Parallel()
	address, got := answering(t, 500, 500, 500)
	n, logs, _ := newNotifier(t, NotifierConfig{URL: auth.SecretOf(address), Backoff: []time.Duration{time.Second, time.Second}})
	n.Send("one", []byte(`{}`))
	n.Send("two", []byte(`{}`))
	var ids []string
	for range 4 {
		a := <-got
		ids = append(ids, a.header.Get("webhook-id"))
		if _, signed := a.header["Webhook-Signature"]; signed {
			t.Errorf("a signature without a secret: %v", a.header)
		}
	}
	if want := []string{"one", "one", "one", "two"}; !slices.Equal(ids, want) {
		t.Errorf("ids %v, want %v", ids, want)
	}
	if !strings.Contains(logs.String(), "given up") {
		t.Errorf("log: %s", logs)
	}
}

// What waits is bounded, and Send does not wait.
func TestNotifierQueueIsBounded(t *testing.T) {
	t.Parallel()
	allow, err := ParseAllow([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	logs := &lockedBuffer{}
	n, err := NewNotifier(NotifierConfig{
		URL: auth.SecretOf("http://127.0.0.1:1/"), Allow: allow, Logger: slog.New(slog.NewTextHandler(logs, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	for range waiting + 3 { // it was not started: nobody takes them
		n.Send("id", nil)
	}
	if got := strings.Count(logs.String(), "too many wait"); got != 3 {
		t.Errorf("%d messages were lost, want 3", got)
	}
	n.Stop()
	n.Stop()
	n.Start() // after Stop: nothing
}

func TestNotifierConfigIsChecked(t *testing.T) {
	t.Parallel()
	good := NewSecret()
	for name, c := range map[string]NotifierConfig{
		"private":      {URL: auth.SecretOf("https://192.168.1.1/T0PSECRET"), Secret: good},
		"no TLS":       {URL: auth.SecretOf("http://hooks.example/T0PSECRET"), Secret: good},
		"no address":   {Secret: good},
		"plain secret": {URL: auth.SecretOf("https://hooks.example/"), Secret: auth.SecretOf("T0PSECRET")},
		"short secret": {URL: auth.SecretOf("https://hooks.example/"), Secret: auth.SecretOf("whsec_T0PSECRET")},
	} {
		if _, err := NewNotifier(c); err == nil || strings.Contains(err.Error(), "T0PSECRET") {
			t.Errorf("%s: got %v, want an error without the secret", name, err)
		}
	}
	if _, err := NewNotifier(NotifierConfig{URL: auth.SecretOf("https://hooks.example/"), Secret: good}); err != nil {
		t.Errorf("a good one: %v", err)
	}
}

// A name that leads to a private address is refused when it is dialled.
func TestNotifierJudgesAddresses(t *testing.T) {
	t.Parallel()
	address, got := answering(t)
	port := address[strings.LastIndex(address, ":")+1 : strings.LastIndex(address, "/")]
	logs := &lockedBuffer{}
	n, err := NewNotifier(NotifierConfig{
		URL: auth.SecretOf("https://localhost:" + port + "/"), Backoff: []time.Duration{}, Logger: slog.New(slog.NewTextHandler(logs, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	n.deliver(t.Context(), notification{"one", []byte(`{}`)})
	n.Stop()
	if len(got) != 0 || !strings.Contains(logs.String(), "private address") {
		t.Errorf("%d arrived, log: %s", len(got), logs)
	}
}
