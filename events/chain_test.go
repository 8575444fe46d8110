package events

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

// columnsOf visits every exported field of an envelope, those of Actor singly,
// so that a column added later is covered without anyone thinking of it.
func columnsOf(e *Envelope, visit func(name string, field reflect.Value)) {
	var walk func(prefix string, v reflect.Value)
	walk = func(prefix string, v reflect.Value) {
		for i := range v.NumField() {
			field := v.Type().Field(i)
			switch {
			case !field.IsExported(), field.Name == "Kept", field.Name == "KeptSchema": // see TestKept
			case field.Type == reflect.TypeFor[Actor]():
				walk(field.Name+".", v.Field(i))
			default:
				visit(prefix+field.Name, v.Field(i))
			}
		}
	}
	walk("", reflect.ValueOf(e).Elem())
}

// change gives a field the nearest other value.
func change(t *testing.T, name string, v reflect.Value) {
	t.Helper()
	switch value := v.Addr().Interface().(type) {
	case *time.Time:
		*value = value.Add(time.Microsecond)
	case *Hash:
		value[31] ^= 1
	case *json.RawMessage:
		text := strings.Replace(string(*value), "good", "goof", 1)
		if text == string(*value) {
			t.Fatalf("%s: the sample's data is not the expected one", name)
		}
		*value = json.RawMessage(text)
	default:
		switch v.Kind() {
		case reflect.Int, reflect.Int64:
			v.SetInt(v.Int() + 1)
		case reflect.String:
			v.SetString(v.String() + "x")
		default:
			t.Fatalf("%s: no way to change a %s", name, v.Type())
		}
	}
}

func TestChainSeesEveryColumn(t *testing.T) {
	t.Parallel()
	first := sealedSample(t, Head{}, BoardArchived{})
	original := sealedSample(t, first.Head(), CommentAdded{CommentID: 4, Text: "Looks good"})
	if err := Check(first.Head(), &original); err != nil {
		t.Fatal(err)
	}
	var names []string
	columnsOf(&original, func(name string, _ reflect.Value) { names = append(names, name) })
	if len(names) != 20 {
		t.Errorf("an envelope has %d columns %v, want 20: does the table, the chain and the wire know the new one?", len(names), names)
	}
	for _, name := range names {
		changed := original
		columnsOf(&changed, func(field string, v reflect.Value) {
			if field == name {
				change(t, name, v)
			}
		})
		if err := Check(first.Head(), &changed); !errors.Is(err, ErrChainBroken) {
			t.Errorf("%s changed: got %v, want ErrChainBroken", name, err)
		}
	}
}

// Text moved over the border between two columns is a change too.
func TestChainSeesBorders(t *testing.T) {
	t.Parallel()
	original := sealedSample(t, Head{}, BoardArchived{})
	for name, shift := range map[string]func(e *Envelope){
		"correlation to causation": func(e *Envelope) { e.CorrelationID, e.CausationID = "work-", "1cause-1" },
		"all into one":             func(e *Envelope) { e.CorrelationID, e.CausationID = "work-1cause-1", "" },
		"swapped":                  func(e *Envelope) { e.CorrelationID, e.CausationID = e.CausationID, e.CorrelationID },
		"board and ticket swapped": func(e *Envelope) { e.BoardID, e.TicketID = e.TicketID, e.BoardID },
	} {
		changed := original
		shift(&changed)
		if err := Check(Head{}, &changed); !errors.Is(err, ErrChainBroken) {
			t.Errorf("%s: got %v, want ErrChainBroken", name, err)
		}
	}
}

func TestChainOrder(t *testing.T) {
	t.Parallel()
	a := sealedSample(t, Head{}, BoardArchived{})
	b := sealedSample(t, a.Head(), BoardRestored{})
	c := sealedSample(t, b.Head(), BoardDeleted{})
	other := sealedSample(t, Head{}, BoardDeleted{})
	for name, test := range map[string]struct {
		head Head
		e    Envelope
	}{
		"a row is missing":      {a.Head(), c},
		"a row comes twice":     {a.Head(), a},
		"not from the start":    {Head{}, b},
		"after another history": {other.Head(), b},
		"after a redated head":  {Head{Position: 1}, b},
	} {
		err := Check(test.head, &test.e)
		if !errors.Is(err, ErrChainBroken) || !strings.Contains(err.Error(), "position ") {
			t.Errorf("%s: got %v, want ErrChainBroken and the position", name, err)
		}
	}
	head := Head{}
	for _, e := range []Envelope{a, b, c} {
		if err := Check(head, &e); err != nil {
			t.Error(err)
		}
		head = e.Head()
	}
}

func TestChainRedacted(t *testing.T) {
	t.Parallel()
	e := sealedSample(t, Head{}, CommentAdded{CommentID: 1, Text: "secret"})
	next := sealedSample(t, e.Head(), BoardArchived{})
	e = Envelope{
		Position: e.Position, Stream: e.Stream, Version: e.Version, Type: e.Type, Schema: e.Schema, ID: e.ID,
		RecordedAt: e.RecordedAt, Actor: e.Actor, CommandID: e.CommandID, CorrelationID: e.CorrelationID,
		CausationID: e.CausationID, BoardID: e.BoardID, TicketID: e.TicketID, DataSHA: e.DataSHA, Hash: e.Hash, Chain: e.Chain,
	}
	if err := Check(Head{}, &e); err != nil {
		t.Errorf("redacted: %v", err)
	}
	if err := Check(e.Head(), &next); err != nil {
		t.Errorf("after a redacted one: %v", err)
	}
	// Emptied is not redacted, and a redacted row cannot be given other data.
	for _, data := range []string{"", "{}", "null"} {
		changed := e
		changed.Data = json.RawMessage(data)
		if err := Check(Head{}, &changed); !errors.Is(err, ErrChainBroken) {
			t.Errorf("data %q: got %v, want ErrChainBroken", data, err)
		}
	}
	changed := e
	changed.DataSHA[0] ^= 1
	if err := Check(Head{}, &changed); !errors.Is(err, ErrChainBroken) {
		t.Errorf("sum changed: got %v, want ErrChainBroken", err)
	}
}

func TestSealCutsTime(t *testing.T) {
	t.Parallel()
	e := sealedSample(t, Head{}, BoardArchived{})
	want := time.Date(2026, 1, 2, 2, 4, 5, 678_901_000, time.UTC)
	if e.RecordedAt != want {
		t.Errorf("recorded at: got %v, want %v", e.RecordedAt, want)
	}
}

func TestHashText(t *testing.T) {
	t.Parallel()
	want := Hash{0: 0xab, 31: 0x01}
	text, err := want.MarshalText()
	if err != nil || len(text) != 64 {
		t.Fatalf("marshal: got %q (%v), want 64 digits", text, err)
	}
	var got Hash
	if err := got.UnmarshalText(text); err != nil || got != want {
		t.Errorf("unmarshal: got %v (%v), want %v", got, err, want)
	}
	for _, bad := range []string{"", "ab", strings.Repeat("g", 64), string(text) + "00"} {
		if err := got.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("unmarshal %q: got no error", bad)
		}
	}
}
