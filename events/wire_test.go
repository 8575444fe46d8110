package events

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestWireRoundTrip(t *testing.T) {
	t.Parallel()
	plain := sealedSample(t, Head{}, CommentAdded{CommentID: 1, Text: "x"})
	with := func(f func(e *Envelope)) Envelope {
		e := plain
		f(&e)
		e.wire = nil
		return e
	}
	for name, e := range map[string]Envelope{
		"plain":      plain,
		"html":       sealedSample(t, Head{}, CommentAdded{Text: "<b>&amp;\u2028</b>"}),
		"controls":   sealedSample(t, Head{}, CommentAdded{Text: "\x00\x1f\x7f\\\"\n"}),
		"unicode":    sealedSample(t, Head{}, CommentAdded{Text: "Grüße 世界 🙂 \U0010ffff"}),
		"names":      with(func(e *Envelope) { e.Actor.Name, e.CommandID = "Zoë <z>", "a\"b\\c\n" }),
		"nobody":     with(func(e *Envelope) { e.Actor = SystemActor }),
		"no board":   with(func(e *Envelope) { e.Stream, e.BoardID, e.TicketID = SystemStream, 0, 0 }),
		"user":       with(func(e *Envelope) { e.Stream, e.BoardID, e.TicketID = UserStream(3), 0, 0 }),
		"no ticket":  with(func(e *Envelope) { e.TicketID = 0 }),
		"no threads": with(func(e *Envelope) { e.CorrelationID, e.CausationID = "", "" }),
		"redacted":   with(func(e *Envelope) { e.Data = nil }),
		"kept":       with(func(e *Envelope) { e.Data, e.Kept, e.KeptSchema = nil, json.RawMessage(`{"text":"[redacted]"}`), 1 }),
		"erased":     with(func(e *Envelope) { e.ActorSHA, e.Actor.Name = Hash{1}, ErasedName(e.Actor.ID) }),
		"form 1":     with(func(e *Envelope) { e.Chain = 0 }),
		"spaced":     with(func(e *Envelope) { e.Data = json.RawMessage("{ \"a\" :\n1.50e1 }"); e.DataSHA = sum(e.Data) }),
		"long ago":   with(func(e *Envelope) { e.RecordedAt = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC) }),
		"whole":      with(func(e *Envelope) { e.RecordedAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }),
		"large":      with(func(e *Envelope) { e.Position, e.Version, e.TicketID = 1<<62, 1<<61, 1<<60 }),
	} {
		text := bytes.Clone(e.JSON())
		if !json.Valid(text) {
			t.Errorf("%s: no JSON: %s", name, text)
			continue
		}
		var got Envelope
		if err := json.Unmarshal(text, &got); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if again := got.JSON(); !bytes.Equal(again, text) {
			t.Errorf("%s:\n got %s\nwant %s", name, again, text)
		}
		columnsOf(&e, func(column string, want reflect.Value) {
			columnsOf(&got, func(other string, v reflect.Value) {
				if column == other && !reflect.DeepEqual(v.Interface(), want.Interface()) {
					t.Errorf("%s: %s: got %v, want %v", name, column, v, want)
				}
			})
		})
	}
}

// What a program written in another language relies on.
func TestWireForm(t *testing.T) {
	t.Parallel()
	e := sealedSample(t, Head{Position: 41}, TicketAssigned{Assignee: "bot", Was: "ada"})
	want := `{"specversion":"1.0","id":"01890a5d-ac96-774b-bcce-b302099a8057","source":"/boards/1","type":"ticket_assigned",` +
		`"subject":"ticket/12","time":"2026-01-02T02:04:05.678901Z","position":42,"stream":"board-1","version":42,"schema":1,` +
		`"board_id":1,"ticket_id":12,"actor":{"kind":"agent","id":8,"name":"bot"},"command_id":"command-1",` +
		`"correlation_id":"work-1","causation_id":"cause-1","hash":"` + e.Hash.String() + `","chain":2,` +
		`"datacontenttype":"application/json","data":{"assignee":"bot","was":"ada"}}`
	if got := string(e.JSON()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	e.Prepare()
	if got := string(e.JSON()); got != want {
		t.Errorf("prepared: got %s\nwant %s", got, want)
	}
	if first, again := e.JSON(), e.JSON(); &first[0] != &again[0] {
		t.Error("prepared: encoded again at each call")
	}
	if got := e.Subject(); got != "kanban.1.ticket_assigned" {
		t.Errorf("subject: got %s", got)
	}
	for stream, want := range map[string][2]string{
		"user-3": {"/users/3", "user/3"}, "system": {"/system", "system"}, "board-9": {"/boards/9", "board/9"},
	} {
		source, subject := (&Envelope{Stream: stream}).about()
		if source != want[0] || subject != want[1] {
			t.Errorf("%s: got %s %s, want %v", stream, source, subject, want)
		}
	}
}

// json.Marshal escapes < > & in what MarshalJSON returns; the meaning stays.
func TestWireThroughMarshal(t *testing.T) {
	t.Parallel()
	e := sealedSample(t, Head{}, CommentAdded{CommentID: 1, Text: "<b> & c"})
	list, err := json.Marshal([]Envelope{e})
	if err != nil {
		t.Fatal(err)
	}
	var got []Envelope
	if err := json.Unmarshal(list, &got); err != nil {
		t.Fatal(err)
	}
	fact, err := got[0].Payload()
	if err != nil || fact != Event(CommentAdded{CommentID: 1, Text: "<b> & c"}) {
		t.Errorf("payload: got %#v (%v)", fact, err)
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	t.Parallel()
	e := sealedSample(t, Head{}, BoardArchived{})
	good := string(e.JSON())
	for name, text := range map[string]string{
		"nothing":          ``,
		"cut":              good[:len(good)-1],
		"no object":        `[]`,
		"no specversion":   `{}`,
		"other version":    strings.Replace(good, `"1.0"`, `"0.3"`, 1),
		"position is text": strings.Replace(good, `"position":1`, `"position":"1"`, 1),
		"position too big": strings.Replace(good, `"position":1`, `"position":9223372036854775808`, 1),
		"bad time":         strings.Replace(good, `2026-01-02T`, `2026-13-02T`, 1),
		"short hash":       strings.Replace(good, e.Hash.String(), "ab", 1),
	} {
		var got Envelope
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
	}
}

// FuzzUnmarshal: whatever is accepted is written in one form, and that form is
// read as the same event.
func FuzzUnmarshal(f *testing.F) {
	for _, fact := range samples {
		e := sealedSample(f, Head{}, fact)
		f.Add(e.JSON())
	}
	f.Add([]byte(`{"specversion":"1.0","data_sha":"` + strings.Repeat("0", 64) + `"}`))
	f.Add([]byte(`{"specversion":"1.0","data":null,"time":"0001-01-01T00:00:00.5Z"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var first, second Envelope
		if first.UnmarshalJSON(text) != nil {
			return
		}
		if year := first.RecordedAt.Year(); year < 0 || year > 9999 {
			return // an offset carried the time out of what RFC 3339 can say
		}
		wire := first.JSON()
		if !json.Valid(wire) {
			t.Fatalf("no JSON: %s", wire)
		}
		if err := second.UnmarshalJSON(wire); err != nil {
			t.Fatalf("%s: %v", wire, err)
		}
		if again := second.JSON(); !bytes.Equal(again, wire) {
			t.Fatalf("got %s, want %s", again, wire)
		}
		_, _ = first.Payload() // may fail, must not panic
		_ = Check(Head{}, &first)
	})
}

func FuzzDecode(f *testing.F) {
	for _, fact := range samples {
		data, schema, err := encode(fact)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(fact.Type()), schema, []byte(data))
	}
	f.Add(string(typeRenamed), 1, []byte(`{"nick":"x"}`))
	f.Fuzz(func(t *testing.T, kind string, schema int, data []byte) {
		fact, err := decode(Type(kind), schema, data)
		if err != nil {
			return
		}
		if _, _, err := encode(fact); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
	})
}
