package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/bus"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	kanbanhttp "github.com/agent-kanban/agent-kanban/http"
	"github.com/agent-kanban/agent-kanban/http/client"
	"github.com/agent-kanban/agent-kanban/projections"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

// app is the whole house in one process, on a directory of its own.
type app struct {
	t    testing.TB
	seq  *commands.Sequencer
	auth *auth.Service
	mark *projections.Watermark
	url  string
	http *http.Client
	// seen counts the requests of /mcp, busy those under way.
	seen, busy atomic.Int64
}

type directory struct{ q *readmodel.Queries }

func (d directory) UserByName(ctx context.Context, name string) (auth.User, error) {
	return account(d.q.UserByName(ctx, name))
}

func (d directory) UserByID(ctx context.Context, id int64) (auth.User, error) {
	return account(d.q.UserByID(ctx, id))
}

func account(u readmodel.User, err error) (auth.User, error) {
	return auth.User{ID: u.ID, Name: u.Username, Kind: u.Kind, Admin: u.Admin, Active: u.Active}, err
}

type timeline struct{ log events.Reader }

func (tl timeline) BoardAt(ctx context.Context, board, position int64, until time.Time) (readmodel.Snapshot, error) {
	return projections.BoardAt(ctx, tl.log, board, projections.At{Position: position, Time: until})
}

func (tl timeline) TicketAt(ctx context.Context, board, ticket, position int64) (readmodel.Ticket, error) {
	return projections.TicketAt(ctx, tl.log, board, ticket, position)
}

func newApp(t testing.TB) *app {
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
	a := &app{t: t, mark: projections.NewWatermark(), http: &http.Client{Transport: &http.Transport{}}}
	tail, err := bus.NewTail(bus.TailConfig{Log: db})
	must(err)
	must(tail.Start(t.Context()))
	a.seq, err = commands.New(commands.Config{Store: db, Publish: tail.Publish})
	must(err)
	a.seq.Start()
	q, err := readmodel.New(t.Context(), db.Reader())
	must(err)
	runner, err := projections.NewRunner(projections.Config{
		DB: db.Writer(), Update: db.UpdateRelaxed, Log: db, Watermark: a.mark,
		Subscribe: func(after int64) projections.Subscription { return tail.Subscribe(after) },
	})
	must(err)
	must(runner.Start(t.Context()))
	key, err := auth.LoadOrCreateKey(dir, "")
	must(err)
	a.auth, err = auth.New(auth.Config{Key: key, Reader: db.Reader()}, db, directory{q})
	must(err)
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	tools, err := Handler(Config{Version: "test", Origins: []string{"https://board.example"}, Log: log})
	must(err)
	server, err := kanbanhttp.New(kanbanhttp.Config{
		Addr: "127.0.0.1:0", Version: "test", Log: log, CORSOrigins: []string{"https://board.example"},
	}, kanbanhttp.Deps{
		Commands: a.seq, Queries: q, Auth: a.auth, Setup: auth.NewSetup(dir), Log: db, Watermark: a.mark, Timeline: timeline{db},
		Subscribe: func(after int64) kanbanhttp.Subscription { return tail.Subscribe(after) },
		MCP: func(api http.Handler) http.Handler {
			next := tools(api)
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				a.busy.Add(1)
				a.seen.Add(1)
				defer a.busy.Add(-1)
				next.ServeHTTP(w, r)
			})
		},
	})
	must(err)
	must(server.Start())
	a.url = server.URL()
	t.Cleanup(func() {
		a.http.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Errorf("shut down: %v", err)
		}
		a.seq.Stop()
		_ = runner.Stop()
		tail.Stop()
		_ = q.Close()
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return a
}

// do carries out a command as the system, past every permission.
func (a *app) do(cmds ...commands.Command) commands.Receipt {
	a.t.Helper()
	r, err := a.seq.Do(a.t.Context(), commands.Meta{Actor: events.SystemActor, Trusted: true}, cmds...)
	if err == nil {
		err = a.mark.Wait(a.t.Context(), r.Position)
	}
	if err != nil {
		a.t.Fatal(err)
	}
	return r
}

// person registers somebody and returns a client of theirs.
func (a *app) person(name string) *client.Client {
	a.t.Helper()
	token := a.token(name, events.Human)
	return a.client(token)
}

func (a *app) client(token string) *client.Client {
	a.t.Helper()
	c, err := client.New(client.Config{URL: a.url, Token: token, HTTP: a.http, Retries: -1})
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

func (a *app) token(name string, kind events.ActorKind) string {
	a.t.Helper()
	r := a.do(commands.RegisterUser{Name: name, Kind: kind})
	fact, err := r.Events[0].Payload()
	if err != nil {
		a.t.Fatal(err)
	}
	user := auth.User{ID: fact.(events.UserRegistered).UserID, Name: name, Kind: kind, Active: true}
	s, err := a.auth.StartSession(a.t.Context(), user)
	if err != nil {
		a.t.Fatal(err)
	}
	return s.Access.Reveal()
}

// board makes the board WEB with policies, of which pat is pm, and returns a
// client of pat and a token of the agent builder.
func (a *app) board() (pat *client.Client, builder string) {
	a.t.Helper()
	pat = a.person("pat")
	limit := 3
	_, err := pat.CreateBoard(a.t.Context(), commands.CreateBoard{
		Name: "Website", Key: "WEB", Description: "All about the website.", MaxClaims: 2,
		Columns: []commands.ColumnSpec{
			{Name: "Todo", Kind: events.Backlog},
			{Name: "Doing", Kind: events.Active, WIPLimit: &limit},
			{Name: "Review", Kind: events.Review},
			{Name: "Done", Kind: events.Done, Policy: &commands.PolicySpec{RequireChecklist: true, RequireEvidence: true, Approval: true}},
		},
	})
	if err != nil {
		a.t.Fatal(err)
	}
	t, err := pat.CreateToken(a.t.Context(), client.NewToken{Name: "builder", Kind: events.Agent, Role: events.AgentRole, Boards: []commands.Ref{"WEB"}})
	if err != nil {
		a.t.Fatal(err)
	}
	return pat, t.Token
}

// overHTTP is a session of the SDK's client with POST /mcp.
func (a *app) overHTTP(token string) *sdk.ClientSession {
	a.t.Helper()
	return connectClient(a.t, &sdk.StreamableClientTransport{
		Endpoint: a.url + "/mcp", HTTPClient: &http.Client{Transport: withToken{a.http.Transport, token}}, DisableStandaloneSSE: true,
	})
}

type withToken struct {
	next  http.RoundTripper
	token string
}

func (w withToken) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+w.token)
	return w.next.RoundTrip(r)
}

// overPipe is a session with what kanban mcp serves.
func (a *app) overPipe(token string) *sdk.ClientSession {
	a.t.Helper()
	return servePipe(a.t, a.client(token))
}

func servePipe(t testing.TB, c *client.Client) *sdk.ClientSession {
	t.Helper()
	s := &session{client: c, fences: newFences()}
	server, err := newServer(Config{}.withDefaults(), func(context.Context) (*session, error) { return s, nil })
	if err != nil {
		t.Fatal(err)
	}
	here, there := sdk.NewInMemoryTransports()
	end, err := server.Connect(t.Context(), there, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = end.Close() })
	return connectClient(t, here)
}

func connectClient(t testing.TB, transport sdk.Transport) *sdk.ClientSession {
	t.Helper()
	s, err := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), transport, nil)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

type args map[string]any

// call calls a tool, which must succeed, and returns its structured content.
func call[T any](t testing.TB, s *sdk.ClientSession, tool string, in args) T {
	t.Helper()
	res, err := s.CallTool(t.Context(), &sdk.CallToolParams{Name: tool, Arguments: in})
	if err != nil {
		t.Fatalf("%s %v: %v", tool, in, err)
	}
	if res.IsError {
		t.Fatalf("%s %v was refused: %s", tool, in, texts(res))
	}
	return read[T](t, res)
}

// refused calls a tool, which must refuse with a code.
func refused(t testing.TB, s *sdk.ClientSession, tool string, in args, code events.Code) problem {
	t.Helper()
	res, err := s.CallTool(t.Context(), &sdk.CallToolParams{Name: tool, Arguments: in})
	if err != nil {
		t.Fatalf("%s %v: %v", tool, in, err)
	}
	got := read[struct{ Error problem }](t, res)
	if !res.IsError || got.Error.Code != code || got.Error.Message == "" || got.Error.Next == "" {
		t.Errorf("%s %v answered %s, want a refusal with code %s and what to do next", tool, in, texts(res), code)
	}
	return got.Error
}

func read[T any](t testing.TB, res *sdk.CallToolResult) T {
	t.Helper()
	var out T
	text, err := json.Marshal(res.StructuredContent)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		t.Fatalf("structured content: %v", err)
	}
	return out
}

func texts(res *sdk.CallToolResult) string {
	all := ""
	for _, c := range res.Content {
		all += fmt.Sprintln(c.(*sdk.TextContent).Text)
	}
	return all
}
