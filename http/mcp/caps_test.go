package mcp

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

// capped calls a tool and holds that the reply, as it is on the wire, has at
// most 8,000 tokens.
func capped[T any](t *testing.T, s *sdk.ClientSession, tool string, in args) (T, int) {
	t.Helper()
	res, err := s.CallTool(t.Context(), &sdk.CallToolParams{Name: tool, Arguments: in})
	if err != nil || res.IsError {
		t.Fatalf("%s %v: %v %s", tool, in, err, texts(res))
	}
	wire, err := json.Marshal(res)
	if err != nil {
		t.Fatal(err)
	}
	n := count(t, string(wire))
	if n > 8000 {
		t.Errorf("%s %v: the reply has %d tokens, want at most 8000", tool, in, n)
	}
	return read[T](t, res), n
}

// Five hundred tickets come in pages, each of them once.
func TestListsArePaged(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	_, token := a.board()
	var plan []commands.Command
	for i := range 500 {
		plan = append(plan, commands.CreateTicket{
			Board: "WEB", Title: fmt.Sprintf("%d: %s", i, strings.Repeat("long title ", 15)), Labels: []string{"one", "two", "three"},
			Checklist: []string{"a", "b"},
		})
	}
	a.do(plan...)
	s := a.overHTTP(token)
	for _, in := range []args{
		{"board": "WEB", "limit": 50, "detailed": true},
		{"board": "WEB", "limit": 50},
		{"board": "WEB"},
		{"text": "long", "limit": 37},
	} {
		var keys []string
		most, calls := 0, 0
		for {
			found, n := capped[findReply](t, s, "find_tickets", in)
			if most, calls = max(most, n), calls+1; calls > 100 {
				t.Fatalf("%v does not come to an end", in)
			}
			for _, f := range found.Tickets {
				keys = append(keys, f.Key)
			}
			if found.Total != 500 {
				t.Errorf("total = %d, want 500", found.Total)
			}
			if found.Cursor == "" {
				break
			}
			in["cursor"] = found.Cursor
		}
		delete(in, "cursor")
		t.Logf("%v: %d replies, at most %d tokens", in, calls, most)
		slices.Sort(keys)
		if n := len(slices.Compact(slices.Clone(keys))); len(keys) != 500 || n != 500 {
			t.Errorf("%v: %d tickets, %d different ones, want 500 of each", in, len(keys), n)
		}
	}
	in := args{"board": "WEB", "state": "ready", "limit": 50, "detailed": true}
	seen := 0
	for {
		found, _ := capped[findReply](t, s, "find_tickets", in)
		seen += len(found.Tickets)
		if found.Cursor == "" {
			break
		}
		in["cursor"] = found.Cursor
	}
	if seen != maxPage {
		t.Errorf("%d ready tickets were listed, want the first %d", seen, maxPage)
	}
	capped[summaryReply](t, s, "board_summary", args{"board": "WEB", "detailed": true})
}

// Whatever was written about a ticket can be read to its end, in replies of
// bounded size, and comes out as it went in.
func TestLongTextsAreReadInParts(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	_, token := a.board()
	s := a.overHTTP(token)
	all := samples()
	delete(all, "control")
	names := slices.Sorted(maps.Keys(all))
	for _, name := range names {
		text, size := all[name], commands.MaxText/4
		if name == "english" {
			size = commands.MaxText
		}
		full := strings.ToValidUTF8(strings.Repeat(text, 1+size/len(text))[:size], "")
		key := a.ticket(commands.CreateTicket{Board: "WEB", Title: name, Description: full, AcceptanceCriteria: strings.TrimSpace(name)})
		got, _, calls, most := readAll(t, s, key)
		t.Logf("%-12s %d bytes in %d replies, at most %d tokens", name, len(full), calls, most)
		if got.Description != full {
			t.Errorf("%s: the description does not come out as it went in", name)
		}
		if got.Acceptance != name {
			t.Errorf("%s: acceptance_criteria = %q", name, got.Acceptance)
		}
		brief, n := capped[ticketReply](t, s, "get_ticket", args{"ticket": key})
		if !slices.Contains(brief.Shortened, "description") || n > 4000 {
			t.Errorf("%s: the concise reply has %d tokens and shortened %v", name, n, brief.Shortened)
		}
	}
}

// readAll follows the cursor, and joins the texts.
func readAll(t *testing.T, s *sdk.ClientSession, key string) (all untrusted, first ticketReply, calls, most int) {
	t.Helper()
	in := args{"ticket": key, "detailed": true}
	joined := func(list *[]said, more []said, goesOn bool) {
		if goesOn && len(more) > 0 && len(*list) > 0 {
			(*list)[len(*list)-1].Text += more[0].Text
			more = more[1:]
		}
		*list = append(*list, more...)
	}
	for last := (cursor{}); ; {
		got, n := capped[ticketReply](t, s, "get_ticket", in)
		if calls++; calls == 1 {
			first = got
		}
		most = max(most, n)
		u := got.Ticket.Untrusted
		all.Description += u.Description
		all.Acceptance += u.Acceptance
		all.Checklist = append(all.Checklist, u.Checklist...)
		joined(&all.Evidence, u.Evidence, last.Section == 4 && last.Offset > 0)
		joined(&all.Comments, u.Comments, last.Section == 5 && last.Offset > 0)
		if got.Cursor == "" {
			return all, first, calls, most
		}
		in["cursor"] = got.Cursor
		var err error
		if last, err = parseCursor(got.Cursor); err != nil || calls > 400 {
			t.Fatalf("after %d replies: %v", calls, err)
		}
	}
}

func (a *app) ticket(cmd commands.CreateTicket) string {
	a.t.Helper()
	r := a.do(cmd)
	fact, err := r.Events[0].Payload()
	if err != nil {
		a.t.Fatal(err)
	}
	return fact.(events.TicketCreated).Key
}

// A ticket with as many checklist items, pieces of evidence and comments as it
// may have.
func TestFullTicketIsReadInParts(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	pat, token := a.board()
	key := a.ticket(commands.CreateTicket{Board: "WEB", Title: strings.Repeat("t", 200), Labels: many("label", 200, 40), Checklist: many("item", 100, 480)})
	var cmds []commands.Command
	for i, text := range many("proof", 100, 900) {
		spec := commands.EvidenceSpec{Kind: events.TestOutput, Text: text}
		if i == 7 {
			spec.Text += strings.Repeat(" more", 3000)
		}
		cmds = append(cmds, commands.AddEvidence{Ticket: commands.Ref(key), EvidenceSpec: spec})
	}
	for _, text := range many("comment", 230, 300) {
		cmds = append(cmds, commands.AddComment{Ticket: commands.Ref(key), Text: text})
	}
	a.do(cmds...)
	s := a.overHTTP(token)
	got, first, calls, most := readAll(t, s, key)
	t.Logf("%d replies, at most %d tokens", calls, most)
	if len(got.Checklist) != 100 || len(got.Evidence) != 100 || len(got.Comments) != 230 || first.Comments != 230 {
		t.Fatalf("%d items, %d pieces of evidence, %d comments of %d", len(got.Checklist), len(got.Evidence), len(got.Comments), first.Comments)
	}
	for i, text := range many("comment", 230, 300) {
		if got.Comments[i].Text != text {
			t.Fatalf("comment %d = %q, want %q", i, got.Comments[i].Text, text)
		}
	}
	if want := cmds[7].(commands.AddEvidence).Text; got.Evidence[7].Text != strings.TrimSpace(want) {
		t.Errorf("the long evidence has %d bytes, want %d", len(got.Evidence[7].Text), len(want))
	}
	brief, _ := capped[ticketReply](t, s, "get_ticket", args{"ticket": key})
	if len(brief.Shortened) == 0 {
		t.Error("the concise reply says nothing of what it left out")
	}
	claim, _ := capped[claimReply](t, s, "claim_next", args{"ticket": key})
	capped[changeReply](t, s, "update_ticket", args{"ticket": key, "fence": claim.Fence, "priority": "high"})
	found, _ := capped[findReply](t, s, "find_tickets", args{"board": "WEB", "detailed": true})
	if len(found.Tickets) != 1 {
		t.Errorf("find_tickets = %+v, want the one", found)
	}
	// A cursor of what is no more is refused, so that parts do not get mixed up.
	if _, err := pat.MoveTicket(t.Context(), commands.MoveTicket{Ticket: commands.Ref(key), Column: "Todo"}, nil); err != nil {
		t.Fatal(err)
	}
	refused(t, s, "get_ticket", args{"ticket": key, "cursor": first.Cursor}, events.CodeVersionMismatch)
}

func many(what string, n, size int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s %d ", what, i)
		out[i] += strings.Repeat("x ", max(0, size-len(out[i]))/2) + "."
	}
	return out
}
