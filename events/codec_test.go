package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files that are missing; the others are never touched")

func goldenFile(t Type, schema int) string {
	return filepath.Join("testdata", fmt.Sprintf("%s.%d.json", t, schema))
}

// TestGolden holds the wire format still. Each type and schema has a file with
// one event as it was first written; this program must read it for ever, and
// must still write the newest schema byte for byte like that.
func TestGolden(t *testing.T) {
	t.Parallel()
	wanted := make(map[string]bool)
	for _, fact := range samples {
		current := shapes[fact.Type()].schema()
		for schema := 1; schema <= current; schema++ {
			path := goldenFile(fact.Type(), schema)
			wanted[path] = true
			golden, err := os.ReadFile(path)
			if errors.Is(err, os.ErrNotExist) && *update && schema == current {
				e := sealedSample(t, Head{}, fact)
				golden = append(e.JSON(), '\n')
				if err := os.WriteFile(path, golden, 0o644); err != nil {
					t.Fatal(err)
				}
			} else if err != nil {
				t.Errorf("%v; run go test ./events -update and commit the file", err)
				continue
			}
			checkGolden(t, path, bytes.TrimSuffix(golden, []byte("\n")), fact, schema == current)
		}
	}
	found, err := filepath.Glob("testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		if !wanted[path] {
			t.Errorf("%s belongs to no type: a type that was written once must stay readable", path)
		}
	}
}

func checkGolden(t *testing.T, path string, golden []byte, fact Event, current bool) {
	t.Helper()
	var e Envelope
	if err := json.Unmarshal(golden, &e); err != nil {
		t.Errorf("%s: %v", path, err)
		return
	}
	if got := e.JSON(); !bytes.Equal(got, golden) {
		t.Errorf("%s: written again:\n got %s\nwant %s", path, got, golden)
	}
	if err := Check(Head{}, &e); err != nil {
		t.Errorf("%s: %v", path, err)
	}
	got, err := e.Payload()
	if err != nil {
		t.Errorf("%s: %v", path, err)
		return
	}
	if !current {
		return // it may lack what later schemas added
	}
	if !reflect.DeepEqual(got, fact) {
		t.Errorf("%s: got %#v, want %#v", path, got, fact)
	}
	// In the form of then: which form the chain has is TestWireForm's business.
	now := sealedSample(t, Head{}, fact)
	now.Chain = e.Chain
	now.Hash = now.chain(Hash{})
	if !bytes.Equal(now.JSON(), golden) {
		t.Errorf("%s: the shape changed without a new schema number:\n now %s\nthen %s", path, now.JSON(), golden)
	}
}

// Every constant of type Type can be read, and has a sample.
func TestTypesAreComplete(t *testing.T) {
	t.Parallel()
	sampled := make(map[Type]bool)
	for _, fact := range samples {
		sampled[fact.Type()] = true
	}
	known := make(map[Type]bool)
	for _, kind := range Types() {
		known[kind] = true
		if !sampled[kind] && kind != typeRenamed {
			t.Errorf("%s has no sample in samples_test.go", kind)
		}
		fact, err := shapes[kind].decode(json.RawMessage("{}"))
		if err != nil || fact.Type() != kind {
			t.Errorf("%s decodes as %T (%v)", kind, fact, err)
		}
	}
	file, err := parser.ParseFile(token.NewFileSet(), "facts.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	constants := 0
	for _, declaration := range file.Decls {
		group, ok := declaration.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, spec := range group.Specs {
			value := spec.(*ast.ValueSpec)
			if name, ok := value.Type.(*ast.Ident); !ok || name.Name != "Type" {
				continue
			}
			text, err := strconv.Unquote(value.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			constants++
			if !known[Type(text)] {
				t.Errorf("%s is not in the codec's table", text)
			}
		}
	}
	if constants != len(samples) {
		t.Errorf("facts.go declares %d types, samples_test.go has %d", constants, len(samples))
	}
}

// An empty field in a sample would not show that its tag is right.
func TestSamplesAreFilled(t *testing.T) {
	t.Parallel()
	var empty func(path string, v reflect.Value)
	empty = func(path string, v reflect.Value) {
		switch {
		case v.Type().PkgPath() == "time":
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				if v.Type().Field(i).Tag.Get("json") != "-" {
					empty(path+"."+v.Type().Field(i).Name, v.Field(i))
				}
			}
			return
		case v.Kind() == reflect.Slice:
			for i := range v.Len() {
				empty(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
			}
		}
		if v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0 {
			t.Errorf("%s is empty", path)
		}
	}
	for _, fact := range samples {
		empty(fmt.Sprintf("%T", fact), reflect.ValueOf(fact))
	}
}

// The other extreme: nothing filled must come back as nothing filled.
func TestEmptyFacts(t *testing.T) {
	t.Parallel()
	for _, fact := range samples {
		zero := reflect.Zero(reflect.TypeOf(fact)).Interface().(Event)
		data, schema, err := encode(zero)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decode(fact.Type(), schema, data)
		if err != nil || !reflect.DeepEqual(got, zero) {
			t.Errorf("%s: got %#v (%v), want %#v", data, got, err, zero)
		}
	}
}

func TestUpcasters(t *testing.T) {
	t.Parallel()
	want := renamed{Name: "ada", Length: 3}
	for schema, data := range map[int]string{
		1: `{"nick":"ada"}`,
		2: `{"name":"ada"}`,
		3: `{"name":"ada","length":3}`,
	} {
		e := Envelope{Type: typeRenamed, Schema: schema, Data: json.RawMessage(data)}
		got, err := e.Payload()
		if err != nil || got != Event(want) {
			t.Errorf("schema %d: got %#v (%v), want %#v", schema, got, err, want)
		}
		if string(e.Data) != data || e.Schema != schema {
			t.Errorf("schema %d: the envelope became schema %d, %s; what is stored must stay", schema, e.Schema, e.Data)
		}
	}
	if e := sealedSample(t, Head{}, want); e.Schema != 3 {
		t.Errorf("a new event has schema %d, want 3", e.Schema)
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		kind   Type
		schema int
		data   string
		want   error // nil = any
	}{
		{"unknown type", "ticket_teleported", 1, `{}`, ErrUnknownType},
		{"no type", "", 1, `{}`, ErrUnknownType},
		{"newer schema", TypeTicketMoved, 2, `{}`, ErrUnknownType},
		{"newer than the upcasters", typeRenamed, 4, `{}`, ErrUnknownType},
		{"schema 0", TypeTicketMoved, 0, `{}`, ErrUnknownType},
		{"negative schema", typeRenamed, -1, `{}`, ErrUnknownType},
		{"no json", TypeTicketMoved, 1, `{`, nil},
		{"another shape", TypeTicketMoved, 1, `{"column_id":"one"}`, nil},
		{"an upcaster fails", typeRenamed, 1, `{"nick":1}`, nil},
	} {
		e := Envelope{Type: test.kind, Schema: test.schema, Data: json.RawMessage(test.data)}
		got, err := e.Payload()
		if err == nil || (test.want != nil && !errors.Is(err, test.want)) {
			t.Errorf("%s: got %#v, %v, want %v", test.name, got, err, test.want)
		}
		if test.want == nil && errors.Is(err, ErrUnknownType) {
			t.Errorf("%s: got %v, which claims a newer program", test.name, err)
		}
	}
	redacted := Envelope{Type: TypeTicketMoved, Schema: 1}
	if _, err := redacted.Payload(); !errors.Is(err, ErrRedacted) {
		t.Errorf("redacted: got %v, want ErrRedacted", err)
	}
}

// outsider is no fact of this package's table.
type outsider struct{}

func (outsider) Type() Type { return "outsider" }
func (outsider) sealed()    {}

func TestSealRefusesUnknownTypes(t *testing.T) {
	t.Parallel()
	if _, err := Seal(Head{}, Envelope{}, outsider{}); !errors.Is(err, ErrUnknownType) {
		t.Errorf("seal: got %v, want ErrUnknownType", err)
	}
}
