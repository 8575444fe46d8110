package mcp

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tiktoken-go/tokenizer"
)

// o200k is o200k_base, the encoding of OpenAI's newer models. Other vendors'
// tokenizers differ from it by a tenth or two.
var o200k = sync.OnceValues(func() (tokenizer.Codec, error) { return tokenizer.Get(tokenizer.O200kBase) })

func count(t testing.TB, text string) int {
	t.Helper()
	codec, err := o200k()
	if err != nil {
		t.Fatal(err)
	}
	n, err := codec.Count(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// What every conversation pays before it begins: the JSON of tools/list as it
// is on the wire.
func TestToolsFitTheBudget(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	_, token := a.board()
	reply := a.post(token, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
	var list struct {
		Result struct{ Tools json.RawMessage }
	}
	if err := json.Unmarshal([]byte(reply.body), &list); err != nil {
		t.Fatal(err)
	}
	var each []json.RawMessage
	if err := json.Unmarshal(list.Result.Tools, &each); err != nil {
		t.Fatal(err)
	}
	n := count(t, string(list.Result.Tools))
	t.Logf("%d tools, with their schemas: %d tokens (o200k_base), %d bytes; the instructions: %d tokens",
		len(each), n, len(list.Result.Tools), count(t, instructions))
	if n > 5000 || len(each) > 10 {
		t.Errorf("%d tools take %d tokens, want at most 10 and 5000", len(each), n)
	}
}

// reply is what came back over HTTP.
type httpReply struct {
	status int
	header http.Header
	body   string
}

// post sends a message to /mcp as it stands; headers are "Name: value".
func (a *app) post(token, body string, headers ...string) httpReply {
	a.t.Helper()
	return a.send("POST", "/mcp", token, body, headers...)
}

func (a *app) send(method, path, token, body string, headers ...string) httpReply {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.url+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
		if name == "Host" {
			req.Host = value
		}
	}
	res, err := a.http.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return httpReply{res.StatusCode, res.Header, string(text)}
}

// samples are texts of many kinds, the nastiest that a ticket may hold
// included.
func samples() map[string]string {
	rng := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 6000)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	from := func(alphabet string, n int) string {
		runes := []rune(alphabet)
		out := make([]rune, n)
		for i := range out {
			out[i] = runes[rng.IntN(len(runes))]
		}
		return string(out)
	}
	self, _ := os.ReadFile("ticket.go")
	return map[string]string{
		"english":     strings.Repeat("The quick brown fox jumps over the lazy dog, and nobody minds at all. ", 80),
		"german":      strings.Repeat("Donaudampfschifffahrtsgesellschaft und Zuständigkeitsüberprüfung für alle Größen. ", 60),
		"russian":     strings.Repeat("Съешь же ещё этих мягких французских булок, да выпей чаю. ", 60),
		"chinese":     strings.Repeat("我能吞下玻璃而不伤身体。看板上的每一张卡片都有历史。", 60),
		"japanese":    strings.Repeat("いろはにほへと ちりぬるを 看板の切符を取得する。", 60),
		"arabic":      strings.Repeat("صِف خَلقَ خَودِ كَمِثلِ الشَمسِ إِذ بَزَغَت ", 60),
		"amharic":     strings.Repeat("ሰማይ አይታረስ ንጉሥ አይከሰስ። ", 60),
		"emoji":       from("😀🦊🏳️‍🌈👩‍👩‍👧‍👦🇦🇹✅❌🔥", 900),
		"base64":      base64.StdEncoding.EncodeToString(noise),
		"hex":         hex.EncodeToString(noise),
		"digits":      from("0123456789", 5000),
		"signs":       from("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", 4000),
		"letters":     from("abcdefghijklmnopqrstuvwxyz", 5000),
		"capitals":    from("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 5000),
		"short words": from("abcdefghijklmnopqrstuvwxyz    ", 5000),
		"spaces":      from(" \n\t", 4000),
		"code":        string(self),
		"quotes":      strings.Repeat(`"\"`, 1500),
		"json":        string(toolsJSON),
		"control":     from("\x01\x02\x1b\x7f", 2000),
	}
}

// weigh needs no tokenizer, and is not below one.
func TestWeighIsAnUpperBound(t *testing.T) {
	t.Parallel()
	for name, text := range samples() {
		quoted, err := encode(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{text, string(quoted)} {
			w, n := weigh(s), count(t, s)
			t.Logf("%-12s %6d bytes, %6d tokens, weight %6d: %.2f", name, len(s), n, w, float64(w)/float64(n))
			if w < n {
				t.Errorf("%s: weigh = %d, less than %d tokens", name, w, n)
			}
		}
	}
}

// The arguments that a tool reads are those that it describes.
func TestSchemasMatchTheArguments(t *testing.T) {
	t.Parallel()
	var described []struct {
		Name        string
		InputSchema struct{ Properties map[string]json.RawMessage }
	}
	if err := json.Unmarshal(toolsJSON, &described); err != nil {
		t.Fatal(err)
	}
	read := map[string]any{
		"list_boards": boardsArgs{}, "find_tickets": findArgs{}, "get_ticket": ticketArgs{}, "board_summary": summaryArgs{},
		"create_tickets": createArgs{}, "update_ticket": updateArgs{}, "claim_next": claimArgs{}, "heartbeat": heartbeatArgs{},
		"comment": commentArgs{}, "complete_ticket": completeArgs{},
	}
	if len(described) != len(tools) || len(read) != len(tools) {
		t.Errorf("%d tools are described and %d tested, want %d", len(described), len(read), len(tools))
	}
	for _, d := range described {
		compareFields(t, d.Name, reflect.TypeOf(read[d.Name]), d.InputSchema.Properties)
		for _, actor := range []string{"actor", "user", "as_user", "by", "holder"} {
			if _, ok := d.InputSchema.Properties[actor]; ok {
				t.Errorf("%s takes %s; the actor is whoever the credential belongs to", d.Name, actor)
			}
		}
	}
	var plan struct {
		Tickets struct {
			Items struct{ Properties map[string]json.RawMessage }
		}
	}
	for _, d := range described {
		if d.Name == "create_tickets" {
			text, _ := json.Marshal(d.InputSchema.Properties)
			if err := json.Unmarshal(text, &plan); err != nil {
				t.Fatal(err)
			}
		}
	}
	compareFields(t, "create_tickets.tickets", reflect.TypeFor[newTicket](), plan.Tickets.Items.Properties)
}

func compareFields(t *testing.T, name string, of reflect.Type, described map[string]json.RawMessage) {
	t.Helper()
	var got, want []string
	for i := range of.NumField() {
		got = append(got, strings.Split(of.Field(i).Tag.Get("json"), ",")[0])
	}
	for property := range described {
		want = append(want, property)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s reads %v, its schema has %v", name, got, want)
	}
}
