package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// inbox is what the receiver of a script got.
type inbox chan *http.Request

// mailbox holds the inbox of the receiver that runs.
type mailbox struct{ inbox inbox }

// inboxKey finds it among the values of the script's environment.
type inboxKey struct{}

// receiver starts a program that takes webhooks, at RECEIVER. It answers with the
// status in the file "answer", 204 where there is none.
func scriptReceiver(ts *testscript.TestScript, neg bool, args []string) {
	got, answer := make(inbox, 1000), ts.MkAbs("answer")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		kept := r.Clone(r.Context())
		kept.Body = io.NopCloser(strings.NewReader(string(body)))
		status := http.StatusNoContent
		if text, err := os.ReadFile(answer); err == nil && strings.TrimSpace(string(text)) == "410" {
			status = http.StatusGone
		}
		w.WriteHeader(status)
		got <- kept
	}))
	ts.Defer(srv.Close)
	ts.Value(inboxKey{}).(*mailbox).inbox = got
	ts.Setenv("RECEIVER", srv.URL+"/T0PS3CRET")
}

// received waits for the next message, which must have the text and be signed
// with the secret in SECRET.
func scriptReceived(ts *testscript.TestScript, neg bool, args []string) {
	select {
	case r := <-ts.Value(inboxKey{}).(*mailbox).inbox:
		body, err := io.ReadAll(r.Body)
		ts.Check(err)
		v, err := standardwebhooks.NewWebhook(ts.Getenv("SECRET"))
		ts.Check(err)
		if err := v.Verify(body, r.Header); err != nil {
			ts.Fatalf("signature: %v", err)
		}
		if !strings.Contains(string(body), args[0]) {
			ts.Fatalf("got %s, want one with %s", body, args[0])
		}
	case <-time.After(20 * time.Second):
		ts.Fatalf("nothing came")
	}
}
