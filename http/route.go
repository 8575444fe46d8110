package http

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"github.com/agent-kanban/agent-kanban/events"
)

// op describes a route, for the router and the OpenAPI document at once.
type op struct {
	method, path, id, summary string
	tag                       string
	status                    int // of success; 0 = 200
	reply                     any // a value of the reply's type; nil = no body
	open                      bool
	// media is the reply's type besides JSON.
	media []string
}

func (o op) write() bool { return o.method != http.MethodGet }

// answer is a successful reply.
type answer struct {
	status   int    // 0 = the route's
	view     any    // encoded as JSON
	kept     *kept  // a reply that is ready to send; wins over view
	version  int64  // for the ETag, 0 = none
	variant  string // what may differ at the same version
	location string
	position int64 // for Kanban-Position, 0 = none
	done     bool  // the handler has written everything itself
}

type sink struct{ Body func(huma.Context) }

// register adds a route. Before the handler runs, the caller is signed in
// (unless the route is open) and, for a read, Kanban-Min-Position is awaited.
func register[I any](s *Server, o op, handle func(c *call, in *I) (answer, error)) {
	if o.status == 0 {
		o.status = http.StatusOK
	}
	hop := huma.Operation{
		OperationID: o.id, Method: o.method, Path: o.path, Summary: o.summary, Tags: []string{o.tag},
		DefaultStatus: o.status,
		MaxBodyBytes:  maxBody + 1, // huma refuses at the limit, ours is inclusive
		// Bodies are decoded once, strictly; what they mean is for commands to
		// judge, so that REST, CLI and MCP refuse alike.
		SkipValidateBody: true,
		Responses:        s.documentReply(o),
		Middlewares:      huma.Middlewares{s.before(o)},
	}
	if !o.open {
		hop.Security = []map[string][]string{{"bearer": {}}}
	}
	if o.write() && !o.open {
		hop.Parameters = append(hop.Parameters, writeHeaders...)
	} else if !o.open {
		hop.Parameters = append(hop.Parameters, readHeaders...)
	}
	huma.Register(s.api, hop, func(ctx context.Context, in *I) (*sink, error) {
		c := callOf(ctx)
		a, err := handle(c, in)
		return &sink{Body: func(huma.Context) {
			switch {
			case err != nil:
				s.fail(c, err)
			case !a.done:
				s.answer(c, &o, &a)
			}
		}}, nil
	})
}

// before is what happens to every call of a route ahead of its body.
func (s *Server) before(o op) func(huma.Context, func(huma.Context)) {
	return func(hc huma.Context, next func(huma.Context)) {
		c := callOf(hc.Context())
		c.gin = humagin.Unwrap(hc)
		err := s.prepare(c, o)
		if err != nil {
			s.fail(c, err)
			return
		}
		next(hc)
	}
}

func (s *Server) prepare(c *call, o op) error {
	if !o.open {
		if err := s.signIn(c); err != nil {
			return err
		}
	}
	// No text in the database has one, and SQL would end at it.
	if strings.Contains(c.gin.Request.URL.RawQuery, "%00") {
		return events.Errorf(events.CodeInvalid, "The query has a NUL character (%%00), which no text here contains. Remove it.")
	}
	if o.write() {
		if c.header("Idempotency-Key") == "" {
			return nil
		}
		// Only then the body's sum is wanted, and the body read ahead.
		body, err := io.ReadAll(c.gin.Request.Body)
		if err != nil {
			return bodyError(err)
		}
		c.body = body
		c.gin.Request.Body = io.NopCloser(bytes.NewReader(body))
		return nil
	}
	if !o.open {
		return s.waitMin(c)
	}
	return nil
}

func bodyError(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return errBodyTooLarge
	}
	return events.Errorf(events.CodeInvalid, "The body could not be read to its end.")
}

// answer writes a success.
func (s *Server) answer(c *call, o *op, a *answer) {
	h := c.gin.Writer.Header()
	if a.position > 0 {
		h.Set("Kanban-Position", strconv.FormatInt(a.position, 10))
	}
	if a.version > 0 {
		tag := etag(a.version, s.sinceRedaction(a.variant))
		h.Set("ETag", tag)
		if !o.write() {
			h.Set("Cache-Control", "private, no-cache")
			if matches(c.header("If-None-Match"), tag) {
				c.gin.Writer.WriteHeader(http.StatusNotModified)
				c.gin.Writer.WriteHeaderNow()
				return
			}
		}
	}
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "private, no-store")
	}
	if a.location != "" {
		h.Set("Location", a.location)
	}
	status := a.status
	if status == 0 {
		status = o.status
	}
	if status == http.StatusNoContent && a.view != nil {
		status = http.StatusOK // return=minimal has something to say
	}
	switch {
	case status == http.StatusNoContent:
		c.gin.Writer.WriteHeader(status)
		c.gin.Writer.WriteHeaderNow()
	case a.kept != nil:
		s.sendKept(c, status, a)
	default:
		s.send(c, status, jsonType, a.view)
	}
}

const jsonType = "application/json"

// etag is "v12", or "v12.variant"; If-Match is about the number alone.
func etag(version int64, variant string) string {
	tag := `"v` + strconv.FormatInt(version, 10)
	if variant != "" {
		tag += "." + variant
	}
	return tag + `"`
}

// matches compares weakly, as If-None-Match wants it.
func matches(header, tag string) bool {
	for candidate := range strings.SplitSeq(header, ",") {
		candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/")
		if candidate == tag || candidate == "*" {
			return true
		}
	}
	return false
}

// documentReply describes the success for OpenAPI; huma cannot see it through
// the sink.
func (s *Server) documentReply(o op) map[string]*huma.Response {
	r := &huma.Response{Description: http.StatusText(o.status)}
	if o.reply != nil {
		schema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeOf(o.reply), true, o.id+"Reply")
		r.Content = map[string]*huma.MediaType{jsonType: {Schema: schema}}
		for _, m := range o.media {
			r.Content[m] = &huma.MediaType{Schema: &huma.Schema{Type: "string"}}
		}
	}
	problem := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")
	return map[string]*huma.Response{
		strconv.Itoa(o.status): r,
		"default": {
			Description: "A refusal",
			Content:     map[string]*huma.MediaType{problemJSON: {Schema: problem}},
		},
	}
}

func headerParam(name, doc string) *huma.Param {
	return &huma.Param{Name: name, In: "header", Description: doc, Schema: &huma.Schema{Type: "string"}}
}

var (
	writeHeaders = []*huma.Param{
		headerParam("Idempotency-Key", "Same key and body: the first reply again; same key, other body: 422"),
		headerParam("If-Match", "The ETag that the change is based on; otherwise 412 with the newer events"),
		headerParam("Prefer", "return=minimal answers with the position at once"),
	}
	readHeaders = []*huma.Param{
		headerParam("Kanban-Min-Position", "Wait until the reply reflects this position, at most 2 s"),
	}
)

// formats are what bodies may be. Decoding is strict: an unknown field is a
// mistake that its author should hear of.
func formats() map[string]huma.Format {
	through := func(decode func([]byte, any) error) func([]byte, any) error {
		return func(data []byte, v any) error {
			var e *events.Error
			if err := decode(data, v); errors.As(err, &e) {
				return decodeError{e}
			} else if err != nil {
				return err
			}
			return nil
		}
	}
	jsonFormat := huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: through(decodeJSON)}
	return map[string]huma.Format{
		jsonType: jsonFormat,
		"json":   jsonFormat,
		formType: {Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: through(decodeForm)},
	}
}

const formType = "application/x-www-form-urlencoded"

// decodeJSON reads one JSON value into v. What it refuses is the user's to
// mend, so it returns *events.Error, which never repeats a value.
func decodeJSON(data []byte, v any) error {
	if hasNUL(data) {
		return events.Errorf(events.CodeInvalid, `The body contains a NUL character (\u0000), which cannot be stored. Remove it.`)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return jsonError(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return events.Errorf(events.CodeInvalid, "The body has something after the end of the JSON value.")
	}
	return nil
}

func jsonError(err error) *events.Error {
	var syntax *json.SyntaxError
	var wrong *json.UnmarshalTypeError
	e := &events.Error{Code: events.CodeInvalid}
	name, unknown := strings.CutPrefix(err.Error(), "json: unknown field ")
	switch {
	case unknown:
		name = strings.Trim(name, `"`)
		e.Message = "The field " + strconv.Quote(name) + " is not known here. See /docs for the fields."
		e.Fields = map[string]string{name: "is not known"}
	case errors.As(err, &wrong):
		want := kindName(wrong.Type)
		// Names of embedded structs, which start with a capital, are not JSON.
		path := slices.DeleteFunc(strings.Split(wrong.Field, "."), func(part string) bool {
			return part == "" || part[0] >= 'A' && part[0] <= 'Z'
		})
		field := strings.Join(path, ".")
		if field == "" {
			e.Message = fmt.Sprintf("The body must be %s, not %s.", want, article(wrong.Value))
			break
		}
		e.Message = fmt.Sprintf("The field %q must be %s, not %s.", field, want, article(wrong.Value))
		e.Fields = map[string]string{field: "must be " + want}
	case errors.As(err, &syntax):
		e.Message = fmt.Sprintf("The body is not valid JSON: %s at byte %d.", syntax.Error(), syntax.Offset)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		e.Message = "The body is not valid JSON: it ends too early."
	default: // time.Time and our own types; their text may repeat the input
		e.Message = "The body has a value that cannot be read. Times are RFC 3339, ids are integers or keys."
	}
	return e
}

// article keeps the kind of what was sent ("string", "number") and drops the
// value that encoding/json appends to some of them.
func article(value string) string {
	kind, _, _ := strings.Cut(value, " ")
	if kind == "array" || kind == "object" {
		return "an " + kind
	}
	return "a " + kind
}

func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	default:
		return "a number"
	}
}

// hasNUL finds the escape \u0000 whose backslash is not itself escaped; a bare
// NUL is no JSON anyway.
func hasNUL(data []byte) bool {
	for from := 0; ; {
		i := bytes.Index(data[from:], []byte(`\u0000`))
		if i < 0 {
			return false
		}
		i += from
		slashes := 0
		for i-slashes-1 >= 0 && data[i-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return true
		}
		from = i + 1
	}
}

// formReader is implemented by bodies that may also be sent as a form.
type formReader interface{ readForm(url.Values) error }

// decodeForm reads a form where one is possible. Plain curl -d calls its JSON a
// form, so what looks like JSON is read as JSON.
func decodeForm(data []byte, v any) error {
	if t := bytes.TrimSpace(data); len(t) > 0 && (t[0] == '{' || t[0] == '[') {
		return decodeJSON(data, v)
	}
	form, ok := v.(formReader)
	if !ok {
		return events.Errorf(events.CodeInvalid, "Send JSON with Content-Type: application/json; a form is not possible here.")
	}
	values, err := url.ParseQuery(string(data))
	if err != nil || bytes.Contains(data, []byte("%00")) {
		return events.Errorf(events.CodeInvalid, "The form cannot be read.")
	}
	return form.readForm(values)
}

func sumRequest(c *call) events.Hash {
	return sumOf(c.gin.Request.Method, c.gin.Request.URL.Path, c.body)
}

func sumOf(method, path string, body []byte) events.Hash {
	h := sha256.New()
	h.Write([]byte(method))
	h.Write([]byte{0})
	h.Write([]byte(path))
	h.Write([]byte{0})
	h.Write(body)
	return events.Hash(h.Sum(nil))
}
