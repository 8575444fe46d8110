package commands

import (
	"slices"
	"strings"

	"github.com/agent-kanban/agent-kanban/events"
)

// webhook is what decisions need of one; its address and secret are elsewhere.
type webhook struct {
	Board  int64         `json:"board"`
	Host   string        `json:"host"`
	Types  []events.Type `json:"types"`
	Active bool          `json:"active"`
}

func (d *decision) addWebhook(c AddWebhook) ([]decided, error) {
	if err := d.open(); err != nil {
		return nil, err
	}
	var check checker
	c.Host = check.line("host", c.Host, MaxHost, true)
	types := check.types(c.Types)
	if err := check.err(); err != nil {
		return nil, err
	}
	if n := d.dir.webhooksOf(d.board.info.ID); n >= MaxWebhooks {
		return nil, events.Errorf(events.CodeConflict, "Board %s has %d webhooks already, which is the most. Delete one first.", d.board.info.Key, n)
	}
	return d.about(0, events.WebhookAdded{WebhookID: d.dir.NextWebhook, Host: c.Host, Types: types}), nil
}

func (d *decision) updateWebhook(c UpdateWebhook) ([]decided, error) {
	w, err := d.webhook(c.WebhookID)
	if err != nil {
		return nil, err
	}
	now := w
	var check checker
	if c.Host != "" {
		now.Host = check.line("host", c.Host, MaxHost, true)
	}
	if c.Types != nil {
		now.Types = check.types(c.Types)
	}
	set(&now.Active, c.Active)
	if err := check.err(); err != nil {
		return nil, err
	}
	if !c.Touched && now.Host == w.Host && now.Active == w.Active && slices.Equal(now.Types, w.Types) {
		return nil, nil
	}
	return d.about(0, events.WebhookUpdated{WebhookID: c.WebhookID, Host: now.Host, Types: now.Types, Active: now.Active}), nil
}

func (d *decision) removeWebhook(c RemoveWebhook) ([]decided, error) {
	w, err := d.webhook(c.WebhookID)
	if err != nil {
		return nil, err
	}
	return d.about(0, events.WebhookRemoved{WebhookID: c.WebhookID, Host: w.Host}), nil
}

// webhook finds one of the decision's board.
func (d *decision) webhook(id int64) (webhook, error) {
	w, ok := d.dir.Webhooks[id]
	if !ok || w.Board != d.board.info.ID {
		return webhook{}, events.Errorf(events.CodeNotFound, "Board %s has no webhook %d.", d.board.info.Key, id)
	}
	return w, nil
}

func (d *directory) webhooksOf(board int64) int {
	n := 0
	for _, w := range d.Webhooks {
		if w.Board == board {
			n++
		}
	}
	return n
}

// evolveWebhook follows a fact about webhooks, or the end of a board.
func (d *directory) evolveWebhook(board int64, fact events.Event) {
	switch f := fact.(type) {
	case events.WebhookAdded:
		d.NextWebhook = max(d.NextWebhook, f.WebhookID+1)
		d.Webhooks[f.WebhookID] = webhook{Board: board, Host: f.Host, Types: f.Types, Active: true}
	case events.WebhookUpdated:
		d.Webhooks[f.WebhookID] = webhook{Board: board, Host: f.Host, Types: f.Types, Active: f.Active}
	case events.WebhookRemoved:
		delete(d.Webhooks, f.WebhookID)
	case events.BoardDeleted:
		for id, w := range d.Webhooks {
			if w.Board == board {
				delete(d.Webhooks, id)
			}
		}
	default: // nothing about webhooks
	}
}

// types checks a list of types of events and returns it without doubles, never
// nil.
func (c *checker) types(types []events.Type) []events.Type {
	known, out := events.Types(), []events.Type{}
	var strange []string
	for _, t := range types {
		switch {
		case !slices.Contains(known, t):
			strange = append(strange, quote(cut(string(t))))
		case !slices.Contains(out, t):
			out = append(out, t)
		}
	}
	if len(strange) > 0 {
		c.fail("types", "has what is no type of event: "+strings.Join(strange[:min(5, len(strange))], ", "))
	}
	return out
}

// cut keeps a refusal short, whatever was sent.
func cut(s string) string {
	if r := []rune(s); len(r) > MaxColumn {
		return string(r[:MaxColumn]) + "…"
	}
	return s
}
