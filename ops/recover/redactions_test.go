package recover

import (
	"crypto/sha256"
	"encoding/json"
	"testing"

	"github.com/agent-kanban/agent-kanban/events"
)

// What is taken for a redacted event is what its redaction says, and nothing that
// is unproven.
func TestPlanSettlesRedactions(t *testing.T) {
	t.Parallel()
	list := chain(t, 3, "secret")
	left, _, err := events.Erasure{Texts: true}.Of(&list[1])
	if err != nil {
		t.Fatal(err)
	}
	redaction, err := events.Seal(list[2].Head(), events.Envelope{
		Stream: events.BoardStream(1), Version: 4, BoardID: 1, TicketID: 5, ID: "id-4", RecordedAt: list[2].RecordedAt,
		Actor: list[2].Actor, CommandID: "command-4",
	}, events.DataRedacted{Target: "ticket/5", Reason: "test", Events: []events.Emptied{left}})
	if err != nil {
		t.Fatal(err)
	}
	list = append(list, redaction)
	bare := func(r *Row) { r.Event.Data = nil }
	kept := func(r *Row) { r.Event.Data, r.Event.Kept, r.Event.KeptSchema = nil, left.Kept, left.Schema }
	forged := func(r *Row) {
		r.Event.Data, r.Event.Kept, r.Event.KeptSchema = nil, json.RawMessage(`{"comment_id":2,"text":"forged"}`), left.Schema
	}
	sha := sha256.Sum256([]byte("ada"))
	erased := func(r *Row) { r.Event.Actor.Name, r.Event.ActorSHA = events.ErasedName(7), sha }
	all, before := source("rest", list, nil, 1, 3, 4), source("rest", list, nil, 1, 3)
	second := func(change func(*Row)) Source { return source("second", list, change, 2) }
	for name, row := range map[string]struct {
		sources []Source
		want    string // of the second event
		lost    int64
	}{
		"what was kept fits":               {[]Source{all, second(bare), second(kept)}, "kept", 0},
		"it was forged, another fits":      {[]Source{all, second(forged), second(kept)}, "kept", 0},
		"it was forged, one is of before":  {[]Source{all, second(forged), second(nil)}, "whole", 0},
		"it was forged":                    {[]Source{all, second(forged)}, "gone", 1},
		"nothing was kept, one of before":  {[]Source{all, second(bare), second(nil)}, "whole", 0},
		"nothing was kept":                 {[]Source{all, second(bare)}, "gone", 1},
		"the redaction itself is missing":  {[]Source{before, second(kept), second(nil)}, "gone", 0},
		"a name that was erased stays so":  {[]Source{before, second(nil), second(erased)}, "erased", 0},
		"nor does it come back with texts": {[]Source{before, second(erased), second(bare)}, "gone", 0},
	} {
		s, err := NewScratch(t.Context(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Collect(t.Context(), row.sources...); err != nil {
			t.Fatal(err)
		}
		r, err := s.Plan(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if r.KeptLost != row.lost || r.Complete() != (row.lost == 0) {
			t.Errorf("%s: lost %d, complete %v, want %d", name, r.KeptLost, r.Complete(), row.lost)
		}
		n := int64(0)
		for e, err := range s.in(t.Context(), stateChosen) {
			if err != nil {
				t.Fatal(err)
			}
			n++
			got := "whole"
			switch {
			case e.Redacted() && e.Kept == nil:
				got = "gone"
			case e.Redacted() && string(e.Kept) == string(left.Kept):
				got = "kept"
			case e.Redacted():
				got = "forged"
			case e.Actor.Name != "ada":
				got = "erased"
			}
			if e.Position == 2 && got != row.want {
				t.Errorf("%s: it is %s, want %s", name, got, row.want)
			}
		}
		if n != r.Head.Position {
			t.Errorf("%s: %d events are chosen, want %d", name, n, r.Head.Position)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
