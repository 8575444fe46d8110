package webhook

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/bus"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

// clock is a time that only waiting moves on.
type clock struct {
	mu    sync.Mutex
	at    time.Time
	waits []time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
	c.waits = append(c.waits, d)
	return ctx.Err()
}

// waited returns the waits so far and forgets them.
func (c *clock) waited() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.waits
	c.waits = nil
	return w
}

// house is a log, its Sequencer and a dispatcher over both.
type house struct {
	t     *testing.T
	db    *sqlstore.DB
	seq   *commands.Sequencer
	tail  *bus.Tail
	clock *clock
	logs  *lockedBuffer
	saves chan Webhook
	d     *Dispatcher
	board int64
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

var system = commands.Meta{Actor: events.SystemActor, Trusted: true}

func setup(t *testing.T, change ...func(*Config)) *house {
	t.Helper()
	h := &house{t: t, clock: &clock{at: time.Now()}, logs: &lockedBuffer{}, saves: make(chan Webhook, 10_000)}
	var err error
	h.db, err = sqlstore.Open(t.Context(), sqlstore.Options{Path: filepath.Join(t.TempDir(), "test.db"), Create: true})
	h.must(err)
	h.tail, err = bus.NewTail(bus.TailConfig{Log: h.db})
	h.must(err)
	h.must(h.tail.Start(t.Context()))
	h.seq, err = commands.New(commands.Config{Store: h.db, Publish: h.tail.Publish})
	h.must(err)
	h.seq.Start()
	h.board = h.newBoard("WEB")
	h.open(change...)
	t.Cleanup(func() {
		h.d.Stop()
		h.seq.Stop()
		h.tail.Stop()
		if err := h.db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return h
}

// open makes a dispatcher and starts it.
func (h *house) open(change ...func(*Config)) {
	h.t.Helper()
	allow, err := ParseAllow([]string{"127.0.0.1"})
	h.must(err)
	cfg := Config{
		Reader: h.db.Reader(), DB: h.db, Log: h.db, Allow: allow,
		Subscribe: func(after int64) Subscription { return h.tail.Subscribe(after) },
		Now:       h.clock.now, Sleep: h.clock.sleep, Jitter: func(d time.Duration) time.Duration { return d },
		Logger: slog.New(slog.NewTextHandler(h.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		saved:  func(w Webhook) { h.saves <- w },
	}
	cfg.SwitchOff = func(ctx context.Context, board, id int64, reason string) error {
		meta, off := system, false
		meta.With = func(ctx context.Context, tx *sql.Tx, _ commands.Receipt) error {
			return h.d.SwitchOff(ctx, tx, id, reason)
		}
		_, err := h.seq.Do(ctx, meta, commands.UpdateWebhook{Board: commands.RefID(board), WebhookID: id, Active: &off})
		return err
	}
	for _, c := range change {
		c(&cfg)
	}
	h.d, err = New(cfg)
	h.must(err)
	h.must(h.d.Start(h.t.Context()))
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) do(cmds ...commands.Command) commands.Receipt {
	h.t.Helper()
	r, err := h.seq.Do(h.t.Context(), system, cmds...)
	h.must(err)
	return r
}

func (h *house) newBoard(key string) int64 {
	h.t.Helper()
	r := h.do(commands.CreateBoard{Name: key, Key: key})
	return r.Events[0].BoardID
}

// ticket makes one and returns the position of its event.
func (h *house) ticket(board int64, title string) int64 {
	h.t.Helper()
	return h.do(commands.CreateTicket{Board: commands.RefID(board), Title: title}).Position
}

// add makes a webhook of the board as http does; from 0 is from now on.
func (h *house) add(url string, from int64, types ...events.Type) Webhook {
	h.t.Helper()
	return h.addTo(h.board, url, from, types...)
}

func (h *house) addTo(board int64, url string, from int64, types ...events.Type) Webhook {
	h.t.Helper()
	hook := Webhook{Board: board, URL: auth.SecretOf(url), Types: types, Secret: NewSecret(), CreatedBy: "pam"}
	meta := system
	meta.With = func(ctx context.Context, tx *sql.Tx, r commands.Receipt) error {
		fact, err := r.Events[0].Payload()
		if err != nil {
			return err
		}
		hook.ID = fact.(events.WebhookAdded).WebhookID
		if hook.Cursor = r.Position; from > 0 {
			hook.Cursor = from - 1
		}
		return h.d.Insert(ctx, tx, hook)
	}
	_, err := h.seq.Do(h.t.Context(), meta, commands.AddWebhook{Board: commands.RefID(board), Host: "127.0.0.1", Types: types})
	h.must(err)
	return hook
}

// change does what PATCH does.
func (h *house) change(id int64, cmd commands.UpdateWebhook, c Change) {
	h.t.Helper()
	cmd.Board, cmd.WebhookID = commands.RefID(h.board), id
	h.with(cmd, func(ctx context.Context, tx *sql.Tx) error { return h.d.Apply(ctx, tx, id, c) })
	h.d.Reload(h.board, id)
}

func (h *house) with(cmd commands.Command, fn func(ctx context.Context, tx *sql.Tx) error) {
	h.t.Helper()
	meta := system
	meta.With = func(ctx context.Context, tx *sql.Tx, _ commands.Receipt) error { return fn(ctx, tx) }
	_, err := h.seq.Do(h.t.Context(), meta, cmd)
	h.must(err)
}

func (h *house) queue(id, letter int64) {
	h.t.Helper()
	h.with(commands.UpdateWebhook{Board: commands.RefID(h.board), WebhookID: id}, func(ctx context.Context, tx *sql.Tx) error {
		return h.d.Queue(ctx, tx, id, letter)
	})
	h.d.Reload(h.board, id)
}

// get reads the row.
func (h *house) get(id int64) Webhook {
	h.t.Helper()
	w, err := h.d.byID(h.t.Context(), id)
	h.must(err)
	return w
}

// await blocks until the dispatcher has written a row that satisfies.
func (h *house) await(what string, satisfied func(w Webhook) bool) Webhook {
	h.t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case w := <-h.saves:
			if satisfied(w) {
				return w
			}
		case <-timeout:
			h.t.Fatalf("waited in vain for: %s\nlog:\n%s", what, h.logs)
		}
	}
}

func (h *house) awaitCursor(id, position int64) Webhook {
	h.t.Helper()
	return h.await(fmt.Sprintf("webhook %d at position %d", id, position), func(w Webhook) bool { return w.ID == id && w.Cursor == position && w.Attempts == 0 })
}

// awaitEvent blocks until the log has an event of the type after a position.
func (h *house) awaitEvent(after int64, t events.Type) events.Envelope {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 20*time.Second)
	defer cancel()
	for sub := h.tail.Subscribe(after); ; {
		batch, err := sub.Next(ctx)
		h.must(err)
		for i := range batch {
			if batch[i].Type == t {
				return batch[i]
			}
		}
	}
}

// message is what a receiver got.
type message struct {
	header http.Header
	body   []byte
	path   string
}

func (m message) id() string { return m.header.Get("webhook-id") }

// receiver is the other side; answer decides on its replies, nil = 204.
type receiver struct {
	t      *testing.T
	url    string
	got    chan message
	mu     sync.Mutex
	answer func(w http.ResponseWriter, m message)
}

func receive(t *testing.T, answer func(w http.ResponseWriter, m message)) *receiver {
	t.Helper()
	r := &receiver{t: t, got: make(chan message, 10_000), answer: answer}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return // the sender has gone
		}
		m := message{header: req.Header.Clone(), body: body, path: req.RequestURI}
		r.mu.Lock()
		answer := r.answer
		r.mu.Unlock()
		r.got <- m
		if answer == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		answer(w, m)
	}))
	t.Cleanup(srv.Close)
	r.url = srv.URL + "/hook?key=T0PS3CRET"
	return r
}

func (r *receiver) answers(answer func(w http.ResponseWriter, m message)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *receiver) next() message {
	r.t.Helper()
	select {
	case m := <-r.got:
		return m
	case <-time.After(20 * time.Second):
		r.t.Fatal("the receiver got nothing")
		return message{}
	}
}

func status(code int) func(http.ResponseWriter, message) {
	return func(w http.ResponseWriter, _ message) { w.WriteHeader(code) }
}

func tries(waits ...time.Duration) func(*Config) {
	return func(c *Config) { c.Backoff = append([]time.Duration{}, waits...) } // nil would be the default
}
