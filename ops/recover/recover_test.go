package recover

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// chain returns n sealed events.
func chain(tb testing.TB, n int, text string) []events.Envelope {
	tb.Helper()
	list := make([]events.Envelope, n)
	var head events.Head
	for i := range list {
		sealed, err := events.Seal(head, events.Envelope{
			Stream: events.BoardStream(1), Version: int64(i + 1), BoardID: 1, TicketID: 5, ID: fmt.Sprintf("id-%d", i+1),
			RecordedAt: time.UnixMicro(1_800_000_000_000_000 + int64(i)), Actor: events.Actor{Kind: events.Human, ID: 7, Name: "ada"},
			CommandID: fmt.Sprintf("command-%d", i+1),
		}, events.CommentAdded{CommentID: int64(i + 1), Text: fmt.Sprintf("%s %d", text, i+1)})
		if err != nil {
			tb.Fatal(err)
		}
		list[i], head = sealed, sealed.Head()
	}
	return list
}

// source yields rows of the list, at the given positions.
func source(name string, list []events.Envelope, change func(*Row), positions ...int) Source {
	return Source{Name: name, Rows: func(context.Context) iter.Seq2[Row, error] {
		return func(yield func(Row, error) bool) {
			for _, p := range positions {
				row := Row{Event: list[p-1]}
				if change != nil {
					change(&row)
				}
				if !yield(row, nil) {
					return
				}
			}
		}
	}}
}

func plan(t *testing.T, sources ...Source) (*Report, string) {
	t.Helper()
	s, err := NewScratch(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Collect(t.Context(), sources...); err != nil {
		t.Fatal(err)
	}
	r, err := s.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var beyond bytes.Buffer
	if err := s.WriteBeyond(t.Context(), &beyond); err != nil {
		t.Fatal(err)
	}
	return r, beyond.String()
}

// summary is a report in one line.
func summary(r *Report) string {
	text := fmt.Sprintf("head %d", r.Head.Position)
	for _, x := range r.Ranges {
		text += fmt.Sprintf(" %s:%d-%d", x.Source, x.From, x.To)
	}
	for _, g := range r.Gaps {
		text += fmt.Sprintf(" gap:%d-%d", g.From, g.To)
	}
	for _, e := range r.Lost {
		text += fmt.Sprintf(" lost:%d", e.Position)
	}
	if r.Beyond > 0 {
		text += fmt.Sprintf(" beyond:%d", r.Beyond)
	}
	if r.Forked > 0 {
		text += fmt.Sprintf(" forked:%d", r.Forked)
	}
	return text
}

func TestPlan(t *testing.T) {
	t.Parallel()
	list, other := chain(t, 10, "text"), chain(t, 10, "text")
	// Another history from position 6 on.
	for i := 5; i < 10; i++ {
		sealed, err := events.Seal(other[i-1].Head(), other[i], events.CommentAdded{CommentID: int64(i), Text: "other"})
		if err != nil {
			t.Fatal(err)
		}
		other[i] = sealed
	}
	forge := func(r *Row) { r.Event.Actor.Name = "eve" }
	lose := func(r *Row) { r.Event.Data, r.Lost = nil, true }
	redact := func(r *Row) { r.Event.Data = nil }
	all := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for name, row := range map[string]struct {
		sources []Source
		want    string
	}{
		"nothing":                               {nil, "head 0"},
		"one copy":                              {[]Source{source("a", list, nil, all...)}, "head 10 a:1-10"},
		"in any order, twice":                   {[]Source{source("a", list, nil, 3, 1, 2, 3, 1)}, "head 3 a:1-3"},
		"two halves":                            {[]Source{source("a", list, nil, 1, 2, 3), source("b", list, nil, all...)}, "head 10 a:1-3 b:4-10"},
		"a forged row gives way":                {[]Source{source("a", list, forge, 2), source("b", list, nil, 1, 2, 3)}, "head 3 b:1-3"},
		"a forged row alone":                    {[]Source{source("a", list, nil, 1, 3), source("b", list, forge, 2)}, "head 1 a:1-1 beyond:2"},
		"a gap":                                 {[]Source{source("a", list, nil, 1, 2, 5, 6, 9)}, "head 2 a:1-2 gap:3-4 gap:7-8 beyond:3"},
		"the first is missing":                  {[]Source{source("a", list, nil, 2, 3)}, "head 0 gap:1-1 beyond:2"},
		"lost data":                             {[]Source{source("a", list, lose, 2), source("b", list, nil, 1, 3)}, "head 3 b:1-1 a:2-2 b:3-3 lost:2"},
		"lost in one, whole in the other":       {[]Source{source("a", list, lose, 2), source("b", list, nil, 1, 2)}, "head 2 b:1-2"},
		"lost beyond a gap, whole in the other": {[]Source{source("a", list, nil, 1, 3), source("b", list, lose, 4), source("c", list, nil, 4)}, "head 1 a:1-1 gap:2-2 beyond:2"},
		"redacted stays so":                     {[]Source{source("a", list, nil, 1, 2), source("b", list, redact, 2)}, "head 2 a:1-1 b:2-2"},
		"another history":                       {[]Source{source("a", list, nil, all[:7]...), source("b", other, nil, all...)}, "head 7 a:1-7 beyond:5 forked:5"},
		"the less trusted is the longer":        {[]Source{source("a", other, nil, all[:6]...), source("b", list, nil, all...)}, "head 6 a:1-6 beyond:5 forked:5"},
	} {
		r, beyond := plan(t, row.sources...)
		if got := summary(r); got != row.want {
			t.Errorf("%s: got %q, want %q", name, got, row.want)
		}
		if lines := strings.Count(beyond, "\n"); int64(lines) != r.Beyond || strings.Contains(beyond, "data_sha") {
			t.Errorf("%s: saved %d lines, want %d with their data:\n%s", name, lines, r.Beyond, beyond)
		}
	}
}

// The redaction of one copy is not undone by another one.
func TestPlanKeepsRedaction(t *testing.T) {
	t.Parallel()
	list := chain(t, 2, "secret")
	s, err := NewScratch(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Collect(t.Context(), source("whole", list, nil, 1, 2), source("redacted", list, func(r *Row) { r.Event.Data = nil }, 2)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Plan(t.Context()); err != nil {
		t.Fatal(err)
	}
	for e, err := range s.in(t.Context(), stateChosen) {
		if err != nil || e.Redacted() != (e.Position == 2) {
			t.Errorf("position %d: redacted %v, %v", e.Position, e.Redacted(), err)
		}
	}
}

func TestTextPassesOverDamage(t *testing.T) {
	t.Parallel()
	list := chain(t, 5, `with "quotes" and \ and {`)
	var file bytes.Buffer
	for i := range list {
		text := bytes.Clone(list[i].JSON())
		switch i {
		case 1:
			text = text[:len(text)-30] // cut off
		case 3:
			text[40] = 0
		}
		fmt.Fprintf(&file, "\x00\xffheader%s\x01{}", text)
	}
	file.Write(list[0].JSON()[:50])
	var got []int64
	for row, err := range Text(t.Context(), &file) {
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(row.Event.JSON(), list[row.Event.Position-1].JSON()) {
			t.Errorf("position %d is another one", row.Event.Position)
		}
		got = append(got, row.Event.Position)
	}
	if fmt.Sprint(got) != "[1 3 5]" {
		t.Errorf("got %v, want 1, 3 and 5", got)
	}
}

func TestFolderThatIsMissingHoldsNothing(t *testing.T) {
	t.Parallel()
	for row, err := range Folder("f", filepath.Join(t.TempDir(), "missing"), ".blk").Rows(t.Context()) {
		t.Errorf("%v, %v", row, err)
	}
}

func TestCollectNotesErrors(t *testing.T) {
	t.Parallel()
	list := chain(t, 2, "text")
	r, _ := plan(t, Source{Name: "bad", Rows: func(context.Context) iter.Seq2[Row, error] {
		return func(yield func(Row, error) bool) {
			_ = yield(Row{Event: list[0]}, nil) && yield(Row{}, os.ErrPermission) && yield(Row{Event: list[1]}, nil)
		}
	}})
	if r.Head.Position != 2 || r.Sources[0].Errors != 1 || r.Sources[0].Error == "" || r.Sources[0].Rows != 2 {
		t.Errorf("%+v", r)
	}
}
