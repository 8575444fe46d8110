package main

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/client"
)

// scrape returns the page of metrics as a scraper on another machine gets it.
func scrape(t *testing.T, s *server, token string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Forwarded-For", "192.0.2.1")
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// started is a server with a first account.
func started(t *testing.T, change func(*config)) (*server, *client.Client) {
	t.Helper()
	s := newTestServer(t, t.TempDir())
	change(&s.cfg)
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	c, err := client.New(client.Config{URL: s.URL()})
	if err != nil {
		t.Fatal(err)
	}
	_, token, _ := strings.Cut(s.setup, "#token=")
	if _, err := c.Register(t.Context(), "pat", "correct horse battery", token); err != nil {
		t.Fatal(err)
	}
	return s, c
}

// What a running server did is on its page.
func TestMetricsOfAServer(t *testing.T) {
	t.Parallel()
	const token = "sixteen characters and more"
	s, _ := started(t, func(cfg *config) { cfg.MetricsToken = strings.ReplaceAll(token, " ", "-") })
	r, err := s.sequencer.Do(t.Context(), commands.Meta{Actor: events.SystemActor, Trusted: true}, commands.CreateBoard{Name: "Web", Key: "WEB"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.sequencer.Do(t.Context(), commands.Meta{Actor: events.SystemActor, Trusted: true}, commands.CreateBoard{Name: "Web", Key: "WEB"}); err == nil {
		t.Fatal("the key WEB was given twice")
	}
	if err := s.watermark.Wait(t.Context(), r.Position); err != nil {
		t.Fatal(err)
	}
	if status, text := scrape(t, s, "a-token-that-is-none"); status != http.StatusUnauthorized || strings.Contains(text, "kanban_") {
		t.Errorf("with a wrong token: %d %s", status, text)
	}
	status, text := scrape(t, s, s.cfg.MetricsToken)
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, text)
	}
	for _, pattern := range []string{
		`kanban_log_head_position [1-9]`,
		`kanban_log_events_appended_total [1-9]`,
		`kanban_log_commit_seconds_count [1-9]`,
		`kanban_commands_total\{result="ok",type="create_board"\} 1`,
		`kanban_commands_total\{result="refused",type="create_board"\} 1`,
		`kanban_relay_position \d`,
		`kanban_projection_lag_events\{projection="read_model"\} 0`,
		`kanban_projection_position\{projection="webhooks"\} \d`,
		`kanban_read_model_up 1`,
		`kanban_parked_events 0`,
		`kanban_websocket_sessions 0`,
		`kanban_webhooks_active 0`,
		`kanban_database_size_bytes [1-9]`,
		`kanban_wal_size_bytes \d`,
		`kanban_jetstream_size_bytes \d`,
		`kanban_disk_free_bytes [1-9]`,
		`kanban_http_requests_total\{method="POST",route="/api/auth/register",status="201"\} 1`,
		`process_resident_memory_bytes [1-9]`,
	} {
		if !regexp.MustCompile(`(?m)^` + pattern).MatchString(text) {
			t.Errorf("the page lacks %s", pattern)
		}
	}
	if strings.Contains(text, "healthy") {
		t.Error("the page has the word that /health alone may say")
	}
}
