package http

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/http/webhook"
	"github.com/agent-kanban/agent-kanban/projections"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

// tail is the in-process window over the log, without a bus.
type tail struct {
	log  events.Reader
	base int64

	mu   sync.Mutex
	all  []events.Envelope
	more chan struct{}
}

func (tl *tail) publish(batch []events.Envelope) {
	tl.mu.Lock()
	defer tl.mu.Unlock()
	tl.all = append(tl.all, batch...)
	close(tl.more)
	tl.more = make(chan struct{})
}

type cursor struct {
	tail *tail
	at   int64
}

func (c *cursor) Pending() bool {
	c.tail.mu.Lock()
	defer c.tail.mu.Unlock()
	return c.at < c.tail.base+int64(len(c.tail.all))
}

func (c *cursor) Next(ctx context.Context) ([]events.Envelope, error) {
	for {
		if c.at < c.tail.base {
			page, err := c.tail.log.Read(ctx, events.Query{After: c.at, UpTo: c.tail.base})
			if err != nil || len(page) > 0 {
				if err == nil {
					c.at = page[len(page)-1].Position
				}
				return page, err
			}
		}
		c.tail.mu.Lock()
		batch, more := c.tail.all[c.at-c.tail.base:], c.tail.more
		c.tail.mu.Unlock()
		if len(batch) > 0 {
			c.at += int64(len(batch))
			return batch, nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

type timeline struct{ log events.Reader }

func (tl timeline) BoardAt(ctx context.Context, board, position int64, until time.Time) (readmodel.Snapshot, error) {
	return projections.BoardAt(ctx, tl.log, board, projections.At{Position: position, Time: until})
}

func (tl timeline) TicketAt(ctx context.Context, board, ticket, position int64) (readmodel.Ticket, error) {
	return projections.TicketAt(ctx, tl.log, board, ticket, position)
}

// app is the whole house in one process, on a directory of its own.
type app struct {
	t        testing.TB
	db       *sqlstore.DB
	seq      *commands.Sequencer
	auth     *auth.Service
	setup    *auth.Setup
	tail     *tail
	mark     *projections.Watermark
	server   *Server
	webhooks *webhook.Dispatcher
	url      string
	logs     *syncBuffer
	users    map[string]string // name to access token
}

type directory struct{ q *readmodel.Queries }

func (d directory) UserByName(ctx context.Context, name string) (auth.User, error) {
	u, err := d.q.UserByName(ctx, name)
	return account(u), err
}

func (d directory) UserByID(ctx context.Context, id int64) (auth.User, error) {
	u, err := d.q.UserByID(ctx, id)
	return account(u), err
}

func account(u readmodel.User) auth.User {
	return auth.User{ID: u.ID, Name: u.Username, Kind: u.Kind, Admin: u.Admin, Active: u.Active}
}

type option func(*Config, *Deps)

func newApp(t testing.TB, options ...option) *app {
	t.Helper()
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: filepath.Join(dir, "test.db"), Create: true})
	must(err)
	a := &app{t: t, db: db, users: map[string]string{}, mark: projections.NewWatermark(), logs: &syncBuffer{}}
	a.tail = &tail{log: db, more: make(chan struct{})}
	a.seq, err = commands.New(commands.Config{Store: db, Publish: a.tail.publish})
	must(err)
	a.seq.Start()
	q, err := readmodel.New(t.Context(), db.Reader())
	must(err)
	runner, err := projections.NewRunner(projections.Config{
		DB: db.Writer(), Update: db.UpdateRelaxed, Log: db, Watermark: a.mark,
		Subscribe: func(after int64) projections.Subscription { return &cursor{a.tail, after} },
	})
	must(err)
	must(runner.Start(t.Context()))
	key, err := auth.LoadOrCreateKey(dir, "")
	must(err)
	a.auth, err = auth.New(auth.Config{Key: key, Reader: db.Reader()}, db, directory{q})
	must(err)
	a.setup = auth.NewSetup(dir)
	cfg := Config{Addr: "127.0.0.1:0", Version: "test", Log: slog.New(slog.NewTextHandler(a.logs, nil))}
	deps := Deps{
		Commands: a.seq, Queries: q, Auth: a.auth, Setup: a.setup, Log: db, Watermark: a.mark, Timeline: timeline{db},
		Subscribe: func(after int64) Subscription { return &cursor{a.tail, after} },
	}
	a.hooks(&deps)
	for _, o := range options {
		o(&cfg, &deps)
	}
	a.server, err = New(cfg, deps)
	must(err)
	must(a.server.Start())
	a.url = a.server.URL()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := a.server.Shutdown(ctx); err != nil {
			t.Errorf("shut down: %v", err)
		}
		a.webhooks.Stop()
		a.seq.Stop()
		_ = runner.Stop()
		_ = q.Close()
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		client.CloseIdleConnections()
	})
	return a
}

type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// user registers somebody and returns an access token. Hashing a password is
// left out: it costs more than the whole rest of a test.
func (a *app) user(name string, admin bool) string {
	a.t.Helper()
	if token, ok := a.users[name]; ok {
		return token
	}
	r, err := a.seq.Do(a.t.Context(), commands.Meta{Actor: events.SystemActor, Trusted: true},
		commands.RegisterUser{Name: name, Kind: events.Human, Admin: admin})
	if err != nil {
		a.t.Fatalf("register %s: %v", name, err)
	}
	if err := a.mark.Wait(a.t.Context(), r.Position); err != nil {
		a.t.Fatal(err)
	}
	fact, err := payload[events.UserRegistered](&r)
	if err != nil {
		a.t.Fatal(err)
	}
	s, err := a.auth.StartSession(a.t.Context(), auth.User{ID: fact.UserID, Name: name, Kind: events.Human, Admin: admin, Active: true})
	if err != nil {
		a.t.Fatal(err)
	}
	a.users[name] = s.Access.Reveal()
	return a.users[name]
}

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}, CheckRedirect: func(*http.Request, []*http.Request) error {
	return http.ErrUseLastResponse
}}

type reply struct {
	t      testing.TB
	status int
	header http.Header
	body   string
}

// json reads the body as v.
func (r reply) json(v any) {
	r.t.Helper()
	if err := json.Unmarshal([]byte(r.body), v); err != nil {
		r.t.Fatalf("decode %s: %v", r.body, err)
	}
}

func (r reply) want(status int) reply {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("status is %d, want %d; body: %s", r.status, status, r.body)
	}
	return r
}

// do sends a request; headers are "Name: value".
func (a *app) do(method, path, token, body string, headers ...string) reply {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.url+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := client.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return reply{a.t, resp.StatusCode, resp.Header, string(text)}
}

// board makes a board with the members and returns its id; ann is its pm.
func (a *app) board(members ...string) int64 {
	a.t.Helper()
	ann := a.user("ann", false)
	var b readmodel.Board
	a.do("POST", "/api/boards", ann, `{"name":"Web","key":"WEB"}`).want(201).json(&b)
	for _, m := range members {
		name, role, _ := strings.Cut(m, ":")
		a.user(name, false)
		a.do("POST", fmt.Sprintf("/api/boards/%d/members", b.ID), ann,
			fmt.Sprintf(`{"user":%q,"role":%q}`, name, cmp.Or(role, "agent"))).want(200)
	}
	return b.ID
}

func (a *app) ticket(token string, board int64, title string) readmodel.Ticket {
	a.t.Helper()
	var t readmodel.Ticket
	a.do("POST", "/api/tickets", token, fmt.Sprintf(`{"board_id":%d,"title":%q}`, board, title)).want(201).json(&t)
	return t
}
