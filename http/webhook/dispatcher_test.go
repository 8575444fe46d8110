package webhook

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

func verify(t *testing.T, secret auth.Secret, m message) error {
	t.Helper()
	v, err := standardwebhooks.NewWebhook(secret.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	return v.Verify(m.body, m.header)
}

// envelope returns the event at a position as it is stored.
func (h *house) envelope(position int64) events.Envelope {
	h.t.Helper()
	page, err := h.db.Read(h.t.Context(), events.Query{After: position - 1, UpTo: position})
	h.must(err)
	if len(page) != 1 {
		h.t.Fatalf("position %d: got %d events, want 1", position, len(page))
	}
	return page[0]
}

func TestDeliversInOrderAndSigned(t *testing.T) {
	t.Parallel()
	h := setup(t)
	other := h.newBoard("OTHER")
	r := receive(t, nil)
	hook := h.add(r.url, 0)
	var want []int64
	for i := range 120 { // more than a page
		h.ticket(other, "elsewhere")
		want = append(want, h.ticket(h.board, fmt.Sprint("here ", i)))
	}
	for _, position := range want {
		m, e := r.next(), h.envelope(position)
		if m.id() != e.ID || string(m.body) != string(e.JSON()) {
			t.Fatalf("got %s %s, want event %d as it is stored: %s", m.id(), m.body, position, e.JSON())
		}
		if err := verify(t, hook.Secret, m); err != nil {
			t.Errorf("position %d: signature: %v", position, err)
		}
		if m.header.Get("Content-Type") != "application/json" {
			t.Errorf("content type: got %q, want JSON", m.header.Get("Content-Type"))
		}
	}
	w := h.awaitCursor(hook.ID, want[len(want)-1])
	if w.Delivered != int64(len(want)) || w.LastError != "" || w.LastStatus != 204 {
		t.Errorf("row: got %d delivered, status %d, error %q; want %d, 204 and none", w.Delivered, w.LastStatus, w.LastError, len(want))
	}
	if got := h.d.Status(); got.Delivered != int64(len(want)) || got.Active != 1 || got.Failing != 0 {
		t.Errorf("status: got %+v", got)
	}
}

func TestTypesAndStart(t *testing.T) {
	t.Parallel()
	h := setup(t)
	first := h.ticket(h.board, "before")
	r, all := receive(t, nil), receive(t, nil)
	hook := h.add(r.url, 1, events.TypeTicketCreated, events.TypeTicketMoved)
	h.add(all.url, 1)
	h.do(commands.AddComment{Ticket: "WEB-1", Text: "not wanted"})
	moved := h.do(commands.MoveTicket{Ticket: "WEB-1", Column: "Done"}).Position
	for _, position := range []int64{first, moved} {
		if m, e := r.next(), h.envelope(position); m.id() != e.ID {
			t.Errorf("got %s, want the event at %d", m.body, position)
		}
	}
	for position := int64(1); position <= moved; position++ {
		if m, e := all.next(), h.envelope(position); m.id() != e.ID {
			t.Errorf("all types from the beginning: got %s, want the event at %d", m.body, position)
		}
	}
	h.awaitCursor(hook.ID, moved)

	// New types do not reach back over what was not wanted.
	h.do(commands.AddComment{Ticket: "WEB-1", Text: "still not wanted"})
	row := h.get(hook.ID)
	settled, err := h.d.Settled(t.Context(), &row)
	h.must(err)
	types := []events.Type{events.TypeCommentAdded}
	h.change(hook.ID, commands.UpdateWebhook{Types: types}, Change{Types: types, Settled: settled})
	wanted := h.do(commands.AddComment{Ticket: "WEB-1", Text: "wanted"}).Position
	if m, e := r.next(), h.envelope(wanted); m.id() != e.ID {
		t.Errorf("after the change of types: got %s, want the event at %d", m.body, wanted)
	}
	// Once more from a position on.
	h.change(hook.ID, commands.UpdateWebhook{}, Change{From: moved})
	for range 2 {
		if m := r.next(); !strings.Contains(string(m.body), "comment_added") {
			t.Errorf("from %d again: got %s, want comments", moved, m.body)
		}
	}
}

// TestSettledKeepsWhatWaits: with something undelivered the cursor stays.
func TestSettledKeepsWhatWaits(t *testing.T) {
	t.Parallel()
	h := setup(t)
	h.d.Stop()
	hook := h.add("http://127.0.0.1:1/", 0, events.TypeTicketCreated)
	if got, err := h.d.Settled(t.Context(), &hook); err != nil || got != hook.Cursor {
		t.Errorf("nothing waits: got %d (%v), want the head %d", got, err, hook.Cursor)
	}
	h.ticket(h.board, "waits")
	if got, err := h.d.Settled(t.Context(), &hook); err != nil || got != hook.Cursor {
		t.Errorf("an event waits: got %d (%v), want the cursor %d", got, err, hook.Cursor)
	}
}

func TestRetriesThenGivesUp(t *testing.T) {
	t.Parallel()
	h := setup(t)
	r := receive(t, func(w http.ResponseWriter, m message) {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, "cannot POST %s\x1b[31m %s", m.path, strings.Repeat("long ", 1000))
	})
	hook := h.add(r.url, 0)
	position := h.ticket(h.board, "unlucky")
	for attempt := range len(Backoff) + 1 {
		m := r.next()
		if m.id() != h.envelope(position).ID {
			t.Fatalf("attempt %d: got %s, want the same event", attempt, m.body)
		}
		at := m.header.Get("webhook-timestamp")
		v, _ := standardwebhooks.NewWebhook(hook.Secret.Reveal())
		if err := v.VerifyIgnoringTimestamp(m.body, m.header); err != nil {
			t.Errorf("attempt %d at %s: signature: %v", attempt, at, err)
		}
	}
	w := h.awaitCursor(hook.ID, position)
	if got := h.clock.waited(); !slices.Equal(got, Backoff) {
		t.Errorf("waits: got %v, want %v", got, Backoff)
	}
	if w.GaveUp != 1 || w.DeadLetters != 1 || w.LastStatus != 500 {
		t.Errorf("row: got %d given up, %d dead letters, status %d; want 1, 1, 500", w.GaveUp, w.DeadLetters, w.LastStatus)
	}
	letters, err := h.d.DeadLetters(t.Context(), hook.ID, 0, 10)
	h.must(err)
	if len(letters) != 1 {
		t.Fatalf("dead letters: got %d, want 1", len(letters))
	}
	l := letters[0]
	if l.Position != position || l.Attempts != len(Backoff)+1 || l.Status != 500 || l.Type != events.TypeTicketCreated {
		t.Errorf("dead letter: got %+v", l)
	}
	_, reply, _ := strings.Cut(l.Error, ": ")
	if len(reply) > keptReply || !strings.HasPrefix(reply, "cannot POST") || strings.Contains(reply, "T0PS3CRET") || strings.Contains(reply, "\x1b") {
		t.Errorf("error of the dead letter: %d bytes %q; want at most 500, printable, without the address", len(reply), reply)
	}
	// The next event has its turn.
	r.answers(nil)
	next := h.ticket(h.board, "lucky")
	if m := r.next(); m.id() != h.envelope(next).ID {
		t.Errorf("after giving up: got %s, want the next event", m.body)
	}
	if w := h.awaitCursor(hook.ID, next); w.GaveUp != 0 {
		t.Errorf("given up in a row after a success: got %d, want 0", w.GaveUp)
	}
	for _, secret := range []string{"T0PS3CRET", "whsec_"} {
		if strings.Contains(h.logs.String(), secret) {
			t.Errorf("the log has %q:\n%s", secret, h.logs)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	h := setup(t, tries(time.Second, time.Second, time.Second, time.Second))
	var replies []func(w http.ResponseWriter)
	header := func(code int, value string) {
		replies = append(replies, func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", value)
			w.WriteHeader(code)
		})
	}
	header(429, "120")
	header(503, h.clock.now().Add(120*time.Second+time.Hour).UTC().Format(http.TimeFormat))
	header(500, "120") // means nothing there
	header(429, "soon")
	r := receive(t, func(w http.ResponseWriter, _ message) {
		if len(replies) == 0 {
			return
		}
		replies[0](w)
		replies = replies[1:]
	})
	hook := h.add(r.url, 0)
	h.awaitCursor(hook.ID, h.ticket(h.board, "patience"))
	got := h.clock.waited()
	for i := range got {
		got[i] = got[i].Round(2 * time.Second)
	}
	if want := []time.Duration{2 * time.Minute, time.Hour, 2 * time.Second, 2 * time.Second}; !slices.Equal(got, want) && !slices.Equal(got[:2], want[:2]) {
		t.Errorf("waits: got about %v, want %v", got, want)
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	h := setup(t, tries())
	r := receive(t, status(400))
	hook := h.add(r.url, 0)
	var lost []int64
	for i := range 3 {
		lost = append(lost, h.ticket(h.board, fmt.Sprint(i)))
		r.next()
	}
	h.awaitCursor(hook.ID, lost[2])
	letters := func() []DeadLetter {
		t.Helper()
		list, err := h.d.DeadLetters(t.Context(), hook.ID, 0, 10)
		h.must(err)
		return list
	}
	saved := func(left int64) { // the row is read before each attempt
		t.Helper()
		h.await("a replay", func(w Webhook) bool { return w.ID == hook.ID })
		if got := int64(len(letters())); got != left {
			t.Errorf("dead letters: got %d, want %d", got, left)
		}
	}
	// One that fails again stays, with another attempt on its account.
	h.queue(hook.ID, letters()[1].ID)
	r.next()
	saved(3)
	if l := letters()[1]; l.Attempts != 2 || l.Queued {
		t.Errorf("after a replay that failed: got %+v, want 2 attempts, not queued", l)
	}
	// A receiver that is down is asked once, not for each.
	r.answers(status(503))
	h.queue(hook.ID, 0)
	r.next()
	saved(3)
	for _, l := range letters() {
		if l.Queued {
			t.Errorf("dead letter %d is still queued", l.ID)
		}
	}
	r.answers(nil)
	h.queue(hook.ID, letters()[2].ID)
	if m := r.next(); m.id() != h.envelope(lost[2]).ID {
		t.Errorf("replay of one: got %s, want the event at %d", m.body, lost[2])
	}
	saved(2)
	h.queue(hook.ID, 0)
	for _, position := range lost[:2] {
		if m := r.next(); m.id() != h.envelope(position).ID {
			t.Errorf("replay of all: got %s, want the event at %d", m.body, position)
		}
	}
	h.await("both", func(w Webhook) bool { return w.Delivered == 3 })
	if left := letters(); len(left) != 0 {
		t.Errorf("dead letters after all were replayed: got %v, want none", left)
	}
	if _, err := h.d.DeadLetter(t.Context(), hook.ID, 1); events.CodeOf(err) != events.CodeNotFound {
		t.Errorf("a dead letter that was delivered: got %v, want not_found", err)
	}
}

// TestResumes stops the dispatcher in the middle of attempts, again and again:
// every event arrives, and none before those ahead of it.
func TestResumes(t *testing.T) {
	t.Parallel()
	h := setup(t)
	hold := make(chan struct{})
	r := receive(t, func(http.ResponseWriter, message) { <-hold })
	hook := h.add(r.url, 0)
	var want []string
	for i := range 40 {
		e := h.envelope(h.ticket(h.board, fmt.Sprint(i)))
		want = append(want, e.ID)
	}
	var got []string
	note := func(m message) {
		if !slices.Contains(got, m.id()) {
			got = append(got, m.id())
		}
	}
	note(r.next())
	h.d.Stop() // nothing was answered yet
	if w := h.get(hook.ID); w.Delivered != 0 || w.Attempts != 0 {
		t.Errorf("stopped within an attempt: got %d delivered, %d failed, want none of either", w.Delivered, w.Attempts)
	}
	close(hold)
	r.answers(nil)
	for range 15 {
		h.open()
		note(r.next())
		h.d.Stop()
	}
	h.open()
	for len(got) < len(want) {
		note(r.next())
	}
	if !slices.Equal(got, want) {
		t.Errorf("order of arrival: got %v, want %v", got, want)
	}
	h.awaitCursor(hook.ID, h.tail.Head())
}

// TestResumesBackoff: failed attempts count over a restart.
func TestResumesBackoff(t *testing.T) {
	t.Parallel()
	waiting := make(chan time.Duration, 10)
	h := setup(t, func(c *Config) {
		c.Sleep = func(ctx context.Context, d time.Duration) error {
			waiting <- d
			<-ctx.Done()
			return ctx.Err()
		}
	})
	r := receive(t, status(500))
	hook := h.add(r.url, 0)
	position := h.ticket(h.board, "slow")
	r.next()
	if got := <-waiting; got != Backoff[0] {
		t.Errorf("first wait: got %v, want %v", got, Backoff[0])
	}
	h.d.Stop()
	if w := h.get(hook.ID); w.Attempts != 1 || w.LastStatus != 500 || w.Cursor >= position {
		t.Errorf("row after a failed attempt: got %+v", w)
	}
	h.open()
	r.next()
	h.await("the second failure", func(w Webhook) bool { return w.Attempts == 2 })
	if got := h.clock.waited(); len(got) == 0 || got[0].Round(time.Millisecond) != Backoff[0] {
		t.Errorf("the wait after the restart: got %v, want what was left of the first, %v", got, Backoff[0])
	}
}

func TestOneDelaysNoOther(t *testing.T) {
	t.Parallel()
	h := setup(t)
	hold := make(chan struct{})
	slow := receive(t, func(http.ResponseWriter, message) { <-hold })
	t.Cleanup(func() { close(hold) })
	fast := receive(t, nil)
	h.add(slow.url, 0, events.TypeTicketCreated)
	hook := h.add(fast.url, 0, events.TypeTicketCreated)
	first := h.ticket(h.board, "one")
	slow.next()
	h.awaitCursor(hook.ID, first)
	h.awaitCursor(hook.ID, h.ticket(h.board, "two"))
	if n := len(slow.got); n != 0 {
		t.Errorf("the slow receiver got %d more, want none before it has answered", n)
	}
}

func TestTest(t *testing.T) {
	t.Parallel()
	h := setup(t)
	r := receive(t, nil)
	hook := h.add(r.url, 0, events.TypeTicketMoved)
	head := h.tail.Head()
	out, err := h.d.Test(t.Context(), &hook)
	if err != nil || !out.OK() || out.Status != 204 {
		t.Errorf("test: got %+v (%v), want 204", out, err)
	}
	m := r.next()
	if err := verify(t, hook.Secret, m); err != nil || !strings.Contains(string(m.body), `"type":"webhook_test"`) {
		t.Errorf("test message: %v, body %s", err, m.body)
	}
	r.answers(status(404))
	if out, err := h.d.Test(t.Context(), &hook); err != nil || out.OK() || out.Status != 404 {
		t.Errorf("test against 404: got %+v (%v)", out, err)
	}
	if w := h.get(hook.ID); w.LastStatus != 0 || h.tail.Head() != head {
		t.Errorf("a test left traces: status %d, head %d, want 0 and %d", w.LastStatus, h.tail.Head(), head)
	}
	for range cap(h.d.tests) {
		h.d.tests <- struct{}{}
	}
	if _, err := h.d.Test(t.Context(), &hook); events.CodeOf(err) != events.CodeRateLimited {
		t.Errorf("too many at once: got %v, want rate_limited", err)
	}
}

func TestLife(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{}); err == nil || !strings.Contains(err.Error(), "SwitchOff is missing") {
		t.Errorf("without anything: got %v, want what is missing", err)
	}
	h := setup(t)
	if err := h.d.Start(t.Context()); err == nil {
		t.Error("a second Start succeeded")
	}
	h.d.Stop()
	h.d.Stop()
	d, err := New(h.d.cfg)
	h.must(err)
	d.Stop() // before Start
	if err := d.Start(t.Context()); err == nil {
		t.Error("Start after Stop succeeded")
	}
	d.Reload(1, 1) // nothing to reload
}

// TestMany has two hundred webhooks at once, one in ten of which fails.
func TestMany(t *testing.T) {
	t.Parallel()
	h := setup(t, tries(time.Minute))
	good, bad := receive(t, nil), receive(t, status(500))
	want := 0
	for b := range 20 {
		board := h.newBoard(fmt.Sprintf("B%d", b))
		for i := range 10 {
			if i == 0 {
				h.addTo(board, bad.url, 0, events.TypeTicketCreated)
				continue
			}
			h.addTo(board, good.url, 0, events.TypeTicketCreated)
		}
		for range 5 {
			h.ticket(board, "x")
		}
		want += 9 * 5
	}
	for range want {
		good.next()
	}
	if got := h.d.Status().Active; got != 200 {
		t.Errorf("active: got %d, want 200", got)
	}
}
