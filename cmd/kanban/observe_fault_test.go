package main

import (
	"context"
	"database/sql"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/bus"
)

// What does not work is on the page while it does not: rows that cannot be
// written, a bus that is down, how far each is behind.
func TestMetricsOfFaults(t *testing.T) {
	t.Parallel()
	s, _ := started(t, func(cfg *config) { cfg.MetricsToken = "sixteen-characters-and-more" })
	err := s.db.Update(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DROP TABLE ticket_history`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s.nats.Stop()
	system := commands.Meta{Actor: events.SystemActor, Trusted: true}
	for _, cmd := range []commands.Command{
		commands.CreateBoard{Name: "Website", Key: "WEB"}, commands.CreateTicket{Board: "WEB", Title: "Stuck"},
	} {
		if _, err := s.sequencer.Do(t.Context(), system, cmd); err != nil {
			t.Fatal(err)
		}
	}
	for s.runner.Status().Retries == 0 || s.relay.Status().State != bus.StateFailing {
		<-time.After(time.Millisecond)
	}
	status, text := scrape(t, s, s.cfg.MetricsToken)
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, text)
	}
	for _, pattern := range []string{
		`kanban_relay_up 0`,
		`kanban_relay_lag_events [1-9]`,
		`kanban_read_model_up 0`,
		`kanban_projection_lag_events\{projection="read_model"\} [1-9]`,
		`kanban_projection_retries_total [1-9]`,
		`kanban_degraded\{part="bus"\} 1`,
		`kanban_degraded\{part="read_model"\} 1`,
		`kanban_commands_total\{result="ok",type="create_ticket"\} 1`, // commands are not touched by that
	} {
		if !regexp.MustCompile(`(?m)^` + pattern).MatchString(text) {
			t.Errorf("the page lacks %s", pattern)
		}
	}
}
