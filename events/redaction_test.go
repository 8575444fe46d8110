package events

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// secret is a word that an erasure must leave no trace of.
const secret = "Xyzzy"

// planted returns a copy of the fact in which every text is the secret.
func planted(fact Event) Event {
	v := reflect.New(reflect.TypeOf(fact)).Elem()
	v.Set(reflect.ValueOf(fact))
	plant(v)
	return v.Interface().(Event)
}

func plant(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		if v.Type() == reflect.TypeFor[string]() {
			v.SetString(secret)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			fresh := reflect.New(v.Type().Elem())
			fresh.Elem().Set(v.Elem())
			plant(fresh.Elem())
			v.Set(fresh)
		}
	case reflect.Slice:
		fresh := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(fresh, v)
		for i := range fresh.Len() {
			plant(fresh.Index(i))
		}
		v.Set(fresh)
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				plant(v.Field(i))
			}
		}
	}
}

// identities are the texts that a redaction keeps on purpose: without them the
// log could not be read any more.
var identities = map[string]bool{"key": true, "rank": true, "from_rank": true, "command_ids": true, "sha256": true, "target": true}

// leaves lists where the secret is still found in some JSON.
func leaves(t *testing.T, text []byte) (found []string) {
	t.Helper()
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	var walk func(path string, node any)
	walk = func(path string, node any) {
		switch n := node.(type) {
		case map[string]any:
			for name, child := range n {
				if !identities[name] {
					walk(path+"."+name, child)
				}
			}
		case []any:
			for _, child := range n {
				walk(path, child)
			}
		case string:
			if strings.Contains(n, secret) {
				found = append(found, path)
			}
		}
	}
	walk("", tree)
	return found
}

// A fact that is added later must be known to Erasure: a text that it does not
// know would survive.
func TestErasureTakesEveryText(t *testing.T) {
	t.Parallel()
	for _, fact := range samples {
		if fact.Type() == TypeDataRedacted { // never redacted itself
			continue
		}
		e := sealedSample(t, Head{}, planted(fact))
		before := string(e.Data)
		user := int64(0)
		switch f := fact.(type) {
		case UserRegistered:
			user = f.UserID
		case UserUpdated:
			user = f.UserID
		case MemberAdded:
			user = f.UserID
		case MemberUpdated:
			user = f.UserID
		case MemberRemoved:
			user = f.UserID
		case TicketReleased:
			user = f.HolderID
		case LeaseExpired:
			user = f.HolderID
		case TicketRecovered:
			if len(f.Comments) > 0 {
				user = f.Comments[0].Author.ID
			}
		default: // is about nobody
		}
		if user == 0 {
			user = 99
		}
		x := Erasure{Texts: true, Names: true, UserID: user, UserName: secret}
		left, _, err := x.Of(&e)
		if err != nil {
			t.Fatal(err)
		}
		if found := leaves(t, left.Kept); len(found) > 0 {
			t.Errorf("%s keeps %v: %s", fact.Type(), found, left.Kept)
		}
		if string(e.Data) != before {
			t.Errorf("%s: the original was changed to %s", fact.Type(), e.Data)
		}
		e.payload, e.wire = nil, nil
		e.Data, e.Kept, e.KeptSchema = nil, left.Kept, left.Schema
		if got, err := e.Payload(); err != nil || got.Type() != fact.Type() {
			t.Errorf("%s: kept is read as %v (%v)", fact.Type(), got, err)
		}
	}
}

func TestErasureKeepsTheRest(t *testing.T) {
	t.Parallel()
	title := "t"
	for name, test := range map[string]struct {
		x          Erasure
		fact, want Event
	}{
		"ticket": {
			Erasure{Texts: true},
			TicketCreated{Number: 3, Key: "WEB-3", Title: "t", Labels: []string{"l"}, Assignee: "ada", ColumnID: 2, Column: "Todo", Rank: "m"},
			TicketCreated{Number: 3, Key: "WEB-3", Title: RedactedText, Labels: []string{}, Assignee: "ada", ColumnID: 2, Column: "Todo", Rank: "m"},
		},
		"update": {Erasure{Texts: true}, TicketUpdated{Title: &title, ClearDue: true}, TicketUpdated{Title: ptr(RedactedText), ClearDue: true}},
		"another comment": {
			Erasure{CommentID: 4}, CommentAdded{CommentID: 5, Text: "x"}, CommentAdded{CommentID: 5, Text: "x"},
		},
		"the comment":       {Erasure{CommentID: 4}, CommentUpdated{CommentID: 4, Text: "x"}, CommentUpdated{CommentID: 4, Text: RedactedText}},
		"a user's name":     {Erasure{UserID: 3, UserName: "ada"}, TicketAssigned{Assignee: "Ada", Was: "bob"}, TicketAssigned{Assignee: "deleted user 3", Was: "bob"}},
		"a user's text":     {Erasure{UserID: 3, UserName: "ada"}, CommentAdded{CommentID: 1, Text: "ada"}, CommentAdded{CommentID: 1, Text: "ada"}},
		"nothing to remove": {Erasure{Texts: true}, TicketCreated{Key: "A-1"}, TicketCreated{Key: "A-1"}},
	} {
		e := sealedSample(t, Head{}, test.fact)
		left, changed, err := test.x.Of(&e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decode(e.Type, left.Schema, left.Kept)
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %+v (%v), want %+v", name, got, err, test.want)
		}
		if want := !reflect.DeepEqual(test.fact, test.want); changed != want {
			t.Errorf("%s: changed %v, want %v", name, changed, want)
		}
	}
}

func ptr[T any](v T) *T { return &v }

func TestKept(t *testing.T) {
	t.Parallel()
	e := sealedSample(t, Head{}, CommentAdded{CommentID: 4, Text: secret})
	left, _, err := Erasure{Texts: true}.Of(&e)
	if err != nil {
		t.Fatal(err)
	}
	e.payload, e.Data, e.Kept, e.KeptSchema = nil, nil, left.Kept, left.Schema
	if err := errors.Join(Check(Head{}, &e), left.CheckKept(&e)); err != nil {
		t.Errorf("redacted: %v", err)
	}
	// It travels, and can be checked where it arrives.
	var got Envelope
	if err := json.Unmarshal(e.JSON(), &got); err != nil || strings.Contains(string(e.JSON()), secret) {
		t.Fatalf("wire: %s (%v)", e.JSON(), err)
	}
	if err := errors.Join(Check(Head{}, &got), left.CheckKept(&got)); err != nil {
		t.Errorf("after the wire: %v", err)
	}
	if fact, err := got.Payload(); err != nil || fact != Event(CommentAdded{CommentID: 4, Text: RedactedText}) {
		t.Errorf("payload: got %v (%v)", fact, err)
	}
	got.Kept = json.RawMessage(`{"comment_id":4,"text":"forged"}`)
	if err := left.CheckKept(&got); !errors.Is(err, ErrChainBroken) {
		t.Errorf("forged: got %v, want ErrChainBroken", err)
	}
	got.Data = got.Kept
	if err := left.CheckKept(&got); !errors.Is(err, ErrChainBroken) {
		t.Errorf("with data again: got %v, want ErrChainBroken", err)
	}
}

func TestChainWithoutTheName(t *testing.T) {
	t.Parallel()
	e := sealedSample(t, Head{}, BoardArchived{})
	next := sealedSample(t, e.Head(), BoardRestored{})
	erase := func(e Envelope) Envelope {
		e.ActorSHA, e.Actor.Name = sum([]byte(e.Actor.Name)), ErasedName(e.Actor.ID)
		return e
	}
	erased := erase(e)
	if err := errors.Join(Check(Head{}, &erased), Check(erased.Head(), &next)); err != nil {
		t.Errorf("erased: %v", err)
	}
	for name, damage := range map[string]func(e *Envelope){
		"another name": func(e *Envelope) { e.Actor.Name = "mallory" },
		"another sum":  func(e *Envelope) { e.ActorSHA[0] ^= 1 },
		"no sum":       func(e *Envelope) { e.ActorSHA = Hash{} },
		"older form":   func(e *Envelope) { e.Chain = 1 },
	} {
		damaged := erased
		damage(&damaged)
		if err := Check(Head{}, &damaged); !errors.Is(err, ErrChainBroken) {
			t.Errorf("%s: got %v, want ErrChainBroken", name, err)
		}
	}
	// Events of before cover the name itself: it cannot be taken from them.
	old := e
	old.Chain = 0
	old.Hash = old.chain(Hash{})
	if err := Check(Head{}, &old); err != nil {
		t.Errorf("an older event: %v", err)
	}
	old = erase(old)
	if err := Check(Head{}, &old); !errors.Is(err, ErrChainBroken) {
		t.Errorf("an older event without its name: got %v, want ErrChainBroken", err)
	}
}
