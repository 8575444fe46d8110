package commands

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/agent-kanban/agent-kanban/events"
)

func TestWebhooks(t *testing.T) {
	t.Parallel()
	moved := []events.Type{events.TypeTicketMoved}
	one := onBoard(0, events.WebhookAdded{WebhookID: 1, Host: "hooks.example", Types: moved})
	elsewhere := []decided{
		{stream: events.BoardStream(2), board: 2, fact: events.BoardCreated{Key: "OPS", Name: "Ops", Visibility: events.Private, MaxClaims: 1}},
		{stream: events.BoardStream(2), board: 2, fact: events.WebhookAdded{WebhookID: 1, Host: "hooks.example", Types: moved}},
	}
	var many []decided
	for id := int64(1); id <= MaxWebhooks; id++ {
		many = append(many, onBoard(0, events.WebhookAdded{WebhookID: id, Host: "h", Types: []events.Type{}}))
	}
	off := events.WebhookUpdated{WebhookID: 1, Host: "hooks.example", Types: moved, Active: false}
	run(t, []then{
		{
			name: "add", meta: by(pam), when: AddWebhook{Board: "WEB", Host: " hooks.example ", Types: []events.Type{events.TypeTicketMoved, events.TypeTicketMoved}},
			want: []events.Event{events.WebhookAdded{WebhookID: 1, Host: "hooks.example", Types: moved}},
		},
		{
			name: "add for all types, after another", given: []decided{one}, meta: by(ada), when: AddWebhook{Board: "1", Host: "b.example"},
			want: []events.Event{events.WebhookAdded{WebhookID: 2, Host: "b.example", Types: []events.Type{}}},
		},
		{
			name: "an id is never reused", given: []decided{one, onBoard(0, events.WebhookRemoved{WebhookID: 1})}, meta: by(pam), when: AddWebhook{Board: "1", Host: "b.example"},
			want: []events.Event{events.WebhookAdded{WebhookID: 2, Host: "b.example", Types: []events.Type{}}},
		},
		{name: "add by an agent", meta: by(bot), when: AddWebhook{Board: "1", Host: "h"}, code: events.CodeForbidden},
		{name: "add by a viewer", meta: by(vic), when: AddWebhook{Board: "1", Host: "h"}, code: events.CodeForbidden},
		{name: "add by a stranger", meta: by(olga), when: AddWebhook{Board: "1", Host: "h"}, code: events.CodeNotFound},
		{name: "add without a host", meta: by(pam), when: AddWebhook{Board: "1"}, code: events.CodeInvalid},
		{name: "add with an unknown type", meta: by(pam), when: AddWebhook{Board: "1", Host: "h", Types: []events.Type{"ticket_flew"}}, code: events.CodeInvalid},
		{name: "add one too many", given: many, meta: by(pam), when: AddWebhook{Board: "1", Host: "h"}, code: events.CodeConflict},
		{name: "add to an archived board", given: []decided{onBoard(0, events.BoardArchived{})}, meta: by(pam), when: AddWebhook{Board: "1", Host: "h"}, code: events.CodeArchived},
		{name: "add through a token that is no pm", meta: Meta{Actor: pam, Scope: events.Scope{Role: events.AgentRole}}, when: AddWebhook{Board: "1", Host: "h"}, code: events.CodeForbidden},

		{name: "switch off", given: []decided{one}, meta: by(pam), when: UpdateWebhook{Board: "1", WebhookID: 1, Active: ptr(false)}, want: []events.Event{off}},
		{name: "switch off what is off", given: []decided{one, onBoard(0, off)}, meta: by(pam), when: UpdateWebhook{Board: "1", WebhookID: 1, Active: ptr(false)}},
		{
			name: "the server switches off on an archived board", given: []decided{one, onBoard(0, events.BoardArchived{})},
			meta: Meta{Actor: events.SystemActor, Trusted: true}, when: UpdateWebhook{Board: "1", WebhookID: 1, Active: ptr(false)}, want: []events.Event{off},
		},
		{
			name: "change host and types", given: []decided{one}, meta: by(pam), when: UpdateWebhook{Board: "1", WebhookID: 1, Host: "b.example", Types: []events.Type{}},
			want: []events.Event{events.WebhookUpdated{WebhookID: 1, Host: "b.example", Types: []events.Type{}, Active: true}},
		},
		{name: "change nothing", given: []decided{one}, meta: by(pam), when: UpdateWebhook{Board: "1", WebhookID: 1, Host: "hooks.example", Types: moved}},
		{
			name: "change what is not recorded", given: []decided{one}, meta: by(pam), when: UpdateWebhook{Board: "1", WebhookID: 1, Touched: true},
			want: []events.Event{events.WebhookUpdated{WebhookID: 1, Host: "hooks.example", Types: moved, Active: true}},
		},
		{name: "change to an unknown type", given: []decided{one}, meta: by(pam), when: UpdateWebhook{Board: "1", WebhookID: 1, Types: []events.Type{"x"}}, code: events.CodeInvalid},
		{name: "change by an agent", given: []decided{one}, meta: by(bot), when: UpdateWebhook{Board: "1", WebhookID: 1, Active: ptr(false)}, code: events.CodeForbidden},
		{name: "change by a stranger", given: []decided{one}, meta: by(olga), when: UpdateWebhook{Board: "1", WebhookID: 1}, code: events.CodeNotFound},
		{name: "change an unknown one", meta: by(pam), when: UpdateWebhook{Board: "1", WebhookID: 1}, code: events.CodeNotFound},
		{name: "change one of another board", given: elsewhere, meta: by(pam), when: UpdateWebhook{Board: "1", WebhookID: 1}, code: events.CodeNotFound},

		{name: "remove", given: []decided{one}, meta: by(pam), when: RemoveWebhook{Board: "1", WebhookID: 1}, want: []events.Event{events.WebhookRemoved{WebhookID: 1, Host: "hooks.example"}}},
		{name: "remove twice", given: []decided{one, onBoard(0, events.WebhookRemoved{WebhookID: 1})}, meta: by(pam), when: RemoveWebhook{Board: "1", WebhookID: 1}, code: events.CodeNotFound},
		{name: "remove by an agent", given: []decided{one}, meta: by(bot), when: RemoveWebhook{Board: "1", WebhookID: 1}, code: events.CodeForbidden},
		{name: "remove one of another board", given: elsewhere, meta: by(ada), when: RemoveWebhook{Board: "1", WebhookID: 1}, code: events.CodeNotFound},
	})
}

// TestWebhooksEndWithTheirBoard: the directory forgets them.
func TestWebhooksEndWithTheirBoard(t *testing.T) {
	t.Parallel()
	s := given(t, onBoard(0, events.WebhookAdded{WebhookID: 1, Host: "h", Types: []events.Type{}}))
	if diff := cmp.Diff(map[int64]webhook{1: {Board: 1, Host: "h", Types: []events.Type{}, Active: true}}, s.w.state.directory.Webhooks); diff != "" {
		t.Errorf("before (-want +got):\n%s", diff)
	}
	s.fact(pam, onBoard(0, events.BoardDeleted{}))
	if got := s.w.state.directory.Webhooks; len(got) != 0 {
		t.Errorf("after the board was deleted: got %v, want none", got)
	}
}
