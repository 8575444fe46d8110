package http

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

func unpack(t *testing.T, r reply) string {
	t.Helper()
	var in io.Reader
	var err error
	switch r.header.Get("Content-Encoding") {
	case "":
		return r.body
	case "gzip":
		in, err = gzip.NewReader(strings.NewReader(r.body))
	case "zstd":
		var d *zstd.Decoder
		d, err = zstd.NewReader(strings.NewReader(r.body), zstd.WithDecoderConcurrency(1))
		if err == nil {
			defer d.Close()
			in = d
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(in)
	if err != nil {
		t.Fatalf("unpack %s: %v", r.header.Get("Content-Encoding"), err)
	}
	return string(text)
}

func TestKeptRepliesAreCompressedOnce(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board("bob")
	ann := a.user("ann", false)
	for i := range 20 {
		a.ticket(ann, id, strings.Repeat(fmt.Sprintf("Ticket %d ", i), 10))
	}
	const path = "/api/boards/WEB/snapshot"
	for round := range 3 {
		plain := a.do("GET", path, ann, "", "Accept-Encoding: identity").want(200)
		for accept, want := range map[string]string{
			"gzip": "gzip", "zstd": "zstd", "gzip, deflate, br, zstd": "zstd", "zstd;q=0.1, gzip": "gzip",
			"zstd;q=0, gzip;q=0": "", "br": "", "x-gzip": "gzip", "identity": "", "gzip;q=oops": "",
		} {
			r := a.do("GET", path, a.user("bob", false), "", "Accept-Encoding: "+accept).want(200)
			if got := r.header.Get("Content-Encoding"); got != want {
				t.Errorf("Accept-Encoding %q gets %q, want %q", accept, got, want)
			}
			if text := unpack(t, r); text != plain.body {
				t.Errorf("in %q it is\n%s, want\n%s", want, text, plain.body)
			}
			if want != "" && len(r.body) > len(plain.body)/4 {
				t.Errorf("%s takes %d bytes of %d", want, len(r.body), len(plain.body))
			}
			if r.header.Get("Vary") != "Accept-Encoding" || r.header.Get("ETag") != plain.header.Get("ETag") {
				t.Errorf("headers are %v", r.header)
			}
		}
		// Something elsewhere moves the position in front and nothing behind it.
		a.do("POST", "/api/boards", ann, fmt.Sprintf(`{"name":"Other %d"}`, round)).want(201)
		after := a.do("GET", path, ann, "", "Accept-Encoding: gzip").want(200)
		if after.header.Get("ETag") != plain.header.Get("ETag") || unpack(t, after) == plain.body {
			t.Error("an event elsewhere changed the tag, or did not move the position")
		}
	}
	k := a.server.kept.get(keptKey{id, "snapshot"})
	if k == nil || len(k.forms[gzipped]) == 0 || len(k.forms[zstandard]) == 0 {
		t.Error("the compressed forms are not kept")
	}
}

func TestNotModified(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board("bob", "eve")
	ann, bob := a.user("ann", false), a.user("bob", false)
	bot := a.agent("bot")
	tk := a.ticket(ann, id, "One")
	const path = "/api/boards/WEB/snapshot"
	first := a.do("GET", path, bob, "").want(200)
	tag := first.header.Get("ETag")
	r := a.do("GET", path, bob, "", "If-None-Match: "+tag).want(304)
	if r.body != "" || r.header.Get("Kanban-Position") == "" || !strings.HasPrefix(tag, `W/"`) {
		t.Errorf("304 is %v %q", r.header, r.body)
	}
	// Whoever may not see the board learns nothing of it from a tag.
	a.do("GET", path, a.user("mallory", false), "", "If-None-Match: "+tag).want(404)
	a.do("DELETE", "/api/boards/WEB/members/bob", ann, "").want(204)
	a.do("GET", path, bob, "", "If-None-Match: "+tag).want(404)
	a.do("GET", path, bob, "").want(404)
	a.do("GET", path+"?at=5", bob, "").want(404)
	// A member more is a change; so is a ticket; so is a heartbeat, which is no event.
	eve := a.user("eve", false)
	for what, change := range map[string]func(){
		"ticket": func() { a.ticket(ann, id, "Two") },
		"claim":  func() { a.do("POST", "/api/tickets/"+tk.Key+"/claim", bot, "").want(200) },
	} {
		tag = a.do("GET", path, eve, "").want(200).header.Get("ETag")
		change()
		if r := a.do("GET", path, eve, "", "If-None-Match: "+tag); r.status != 200 || r.header.Get("ETag") == tag {
			t.Errorf("after a %s: %d with tag %s", what, r.status, r.header.Get("ETag"))
		}
	}
}

// TestNeverStale: whoever names the position of a write sees it, with many writers
// at once and in every coding.
func TestNeverStale(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board("bob", "eve")
	tokens := []string{a.user("ann", false), a.user("bob", false), a.user("eve", false)}
	var wg sync.WaitGroup
	for n, token := range tokens {
		wg.Go(func() {
			for i := range 40 {
				title := fmt.Sprintf("by %d no %d", n, i)
				w := a.do("POST", "/api/tickets", token, fmt.Sprintf(`{"board_id":%d,"title":%q}`, id, title), "Prefer: return=minimal")
				pos := w.header.Get("Kanban-Position")
				r := a.do("GET", "/api/boards/WEB/snapshot", token, "", "Kanban-Min-Position: "+pos,
					"Accept-Encoding: "+[]string{"identity", "gzip", "zstd"}[i%3])
				if w.status != 201 || r.status != 200 {
					t.Errorf("write %d, read %d", w.status, r.status)
					return
				}
				if text := unpack(t, r); !strings.Contains(text, `"title":"`+title+`"`) {
					t.Errorf("the snapshot lacks %q of position %s: it begins %.30s", title, pos, text)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestPastIsKept(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board()
	ann := a.user("ann", false)
	a.ticket(ann, id, "One")
	var shot readmodel.Snapshot
	a.do("GET", "/api/boards/WEB/snapshot", ann, "").want(200).json(&shot)
	path := fmt.Sprintf("/api/boards/WEB/snapshot?at=%d", shot.Position)
	before := a.do("GET", path, ann, "").want(200)
	key := keptKey{id, fmt.Sprintf("at %d", shot.Position)}
	k := a.server.kept.get(key)
	a.ticket(ann, id, "Two")
	if k == nil || a.server.kept.get(key) != k {
		t.Error("the past was not kept, or was forgotten for what came after it")
	}
	after := a.do("GET", path, ann, "", "If-None-Match: "+before.header.Get("ETag")).want(304)
	if after.header.Get("Kanban-Position") != before.header.Get("Kanban-Position") {
		t.Errorf("the past moved to %s", after.header.Get("Kanban-Position"))
	}
	// The future is none yet: it changes with the board.
	ahead := "/api/boards/WEB/snapshot?at=2999-01-01T00:00:00Z"
	one := a.do("GET", ahead, ann, "").want(200)
	a.ticket(ann, id, "Three")
	if two := a.do("GET", ahead, ann, ""); two.body == one.body {
		t.Error("a time ahead is answered from what was kept before")
	}
	// A redaction changes the past.
	a.server.kept.touch([]events.Envelope{{Type: events.TypeDataRedacted}})
	if a.server.kept.get(key) != nil {
		t.Error("after a redaction the past is still kept")
	}
	for _, bad := range []string{"0", "-1", "yesterday", "1"} {
		if r := a.do("GET", "/api/boards/WEB/snapshot?at="+bad, ann, ""); r.status != 400 && r.status != 404 {
			t.Errorf("at=%s: %d", bad, r.status)
		}
	}
}

func TestKeptRepliesAreBounded(t *testing.T) {
	t.Parallel()
	kr, err := newKeptReplies(nil)
	if err != nil {
		t.Fatal(err)
	}
	rest := bytes.Repeat([]byte("x"), 100_000)
	for i := range int64(5000) {
		kr.put(keptKey{i, "snapshot"}, &kept{rest: rest, position: 1})
	}
	if w := kr.replies.WeightedSize(); w > keptBytes || w == 0 {
		t.Errorf("%d bytes are kept, want some, and at most %d", w, keptBytes)
	}
	kr.put(keptKey{-1, "snapshot"}, &kept{rest: make([]byte, keptBytes), position: 1})
	if kr.get(keptKey{-1, "snapshot"}) != nil {
		t.Error("a reply as large as all the room is kept")
	}
}
