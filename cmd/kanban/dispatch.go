package main

import (
	"context"
	"database/sql"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/webhook"
)

// startWebhooks begins to send events outside; requests end before it does.
func (s *server) startWebhooks(ctx context.Context) (err error) {
	allow, err := webhook.ParseAllow(s.cfg.WebhookAllow)
	if err != nil {
		return err
	}
	s.webhooks, err = webhook.New(webhook.Config{
		Reader: s.db.Reader(), DB: s.db, Log: s.db, Allow: allow, SwitchOff: s.switchOff,
		UserAgent: "Agent-Kanban-Webhook/" + release(), Logger: s.logs.Log,
		Subscribe: func(after int64) webhook.Subscription { return s.tail.Subscribe(after) },
	})
	if err != nil {
		return err
	}
	s.onClose(func(context.Context) error { s.webhooks.Stop(); return nil })
	return s.webhooks.Start(ctx)
}

// switchOff records that the server itself switched a webhook off.
func (s *server) switchOff(ctx context.Context, board, id int64, reason string) error {
	off := false
	_, err := s.sequencer.Do(ctx, commands.Meta{
		Actor: events.SystemActor, Trusted: true,
		With: func(ctx context.Context, tx *sql.Tx, _ commands.Receipt) error {
			return s.webhooks.SwitchOff(ctx, tx, id, reason)
		},
	}, commands.UpdateWebhook{Board: commands.RefID(board), WebhookID: id, Active: &off})
	return err
}
