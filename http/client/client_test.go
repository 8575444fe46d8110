package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	kanbanhttp "github.com/agent-kanban/agent-kanban/http"
	"github.com/agent-kanban/agent-kanban/http/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// setup returns a client of a server that answers with handle.
func setup(t *testing.T, cfg client.Config, handle http.HandlerFunc) *client.Client {
	t.Helper()
	srv := httptest.NewServer(handle)
	t.Cleanup(srv.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	cfg.URL = srv.URL
	cfg.HTTP = &http.Client{Transport: transport}
	cfg.Backoff = time.Millisecond
	c, err := client.New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return c
}

func reply(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func TestNewRefusesBadAddresses(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "localhost:18000", "ftp://x", "http://", "http://%zz"} {
		if _, err := client.New(client.Config{URL: address}); err == nil {
			t.Errorf("New(%q) gave no error", address)
		}
	}
}

// Every code survives the wire, with and without the body that names it.
func TestErrorsSurviveTheWire(t *testing.T) {
	t.Parallel()
	for _, code := range []events.Code{
		events.CodeInvalid, events.CodeUnauthenticated, events.CodeForbidden, events.CodeNotFound, events.CodeConflict,
		events.CodeNameTaken, events.CodeVersionMismatch, events.CodeWIPLimit, events.CodeColumnNotEmpty, events.CodeArchived,
		events.CodeIdempotencyReused, events.CodeTooLarge, events.CodeRateLimited, events.CodeUnavailable,
		events.CodeStorageFull, events.CodeMethodNotAllowed, events.CodeInternal,
		events.CodeClaimed, events.CodeStaleClaim, events.CodeClaimLimit, events.CodeNothingReady, events.CodeBlocked,
		events.CodeCycle, events.CodePolicy, events.CodePaused, events.CodeFrozen, events.CodeBuiltOn,
	} {
		t.Run(string(code), func(t *testing.T) {
			t.Parallel()
			status := kanbanhttp.Status(code)
			body := fmt.Sprintf(`{"title":"t","status":%d,"detail":"what to do","code":%q,"fields":{"a":"b"},"current_version":7,"since":5}`, status, code)
			c := setup(t, client.Config{Retries: -1}, func(w http.ResponseWriter, r *http.Request) { reply(w, status, body) })
			_, err := c.Board(t.Context(), "WEB")
			var got *events.Error
			if !errors.As(err, &got) {
				t.Fatalf("error %v is no *events.Error", err)
			}
			if got.Code != code || got.Message != "what to do" || got.Fields["a"] != "b" || got.Version != 7 || got.Since != 5 {
				t.Errorf("got %+v", got)
			}
			// A proxy answers without a code: the status gives the general one.
			c = setup(t, client.Config{Retries: -1}, func(w http.ResponseWriter, r *http.Request) { reply(w, status, "<html>") })
			_, err = c.Board(t.Context(), "WEB")
			if got := events.CodeOf(err); kanbanhttp.Status(got) != status {
				t.Errorf("status %d alone gave %q, which the server answers with %d", status, got, kanbanhttp.Status(got))
			} else if status == http.StatusConflict && got != events.CodeConflict {
				t.Errorf("status %d alone gave %q, want the general %q", status, got, events.CodeConflict)
			}
		})
	}
}

// A write that broke on the way is repeated with the same key; each write has
// its own.
func TestWritesAreRepeatedWithTheSameKey(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var keys []string
	c := setup(t, client.Config{Token: "akb_x", UserAgent: "test"}, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		if got := r.Header.Get("Authorization"); got != "Bearer akb_x" {
			t.Errorf("Authorization = %q", got)
		}
		switch len(keys) {
		case 1:
			panic(http.ErrAbortHandler) // the connection breaks after the server has read it all
		case 2:
			w.Header().Set("Retry-After", "0")
			reply(w, 503, `{"code":"unavailable"}`)
		default:
			reply(w, 201, `{"id":3,"key":"WEB"}`)
		}
	})
	for range 2 {
		board, err := c.CreateBoard(t.Context(), commands.CreateBoard{Name: "Website"})
		if err != nil || board.ID != 3 {
			t.Fatalf("CreateBoard = %+v, %v", board, err)
		}
	}
	if len(keys) != 4 || keys[0] == "" || keys[0] != keys[1] || keys[1] != keys[2] || keys[3] == keys[0] {
		t.Errorf("keys = %v, want three equal ones and another", keys)
	}
}

func TestRefusalsAreNotRepeated(t *testing.T) {
	t.Parallel()
	calls := 0
	c := setup(t, client.Config{}, func(w http.ResponseWriter, r *http.Request) {
		calls++
		reply(w, 409, `{"code":"wip_limit","detail":"full"}`)
	})
	_, err := c.MoveTicket(t.Context(), commands.MoveTicket{Ticket: "WEB-1", Column: "Doing"}, nil)
	if events.CodeOf(err) != events.CodeWIPLimit || calls != 1 {
		t.Errorf("got %v after %d calls, want a wip_limit after one", err, calls)
	}
}

func TestLongRetryAfterIsNotAwaited(t *testing.T) {
	t.Parallel()
	calls := 0
	c := setup(t, client.Config{}, func(w http.ResponseWriter, r *http.Request) {
		calls++
		w.Header().Set("Retry-After", "3600")
		reply(w, 429, `{"code":"rate_limited"}`)
	})
	_, err := c.Me(t.Context())
	var limited *events.Error
	if !errors.As(err, &limited) || limited.Code != events.CodeRateLimited || limited.RetryAfter != time.Hour || calls != 1 {
		t.Errorf("got %+v after %d calls, want rate_limited for an hour after one", err, calls)
	}
}

type roundTrip func(r *http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A call that waits on purpose may take that much longer than others, and its
// repetition is the same claim.
func TestClaimNextOutlivesTheTimeout(t *testing.T) {
	t.Parallel()
	var keys []string
	c, err := client.New(client.Config{URL: "http://board", Backoff: time.Millisecond, HTTP: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		if end, ok := r.Context().Deadline(); !ok || time.Until(end) < 85*time.Second {
			t.Errorf("attempt %d ends in %v, want the minute on top of 30 s", len(keys), time.Until(end))
		}
		if len(keys) == 1 {
			return nil, io.ErrUnexpectedEOF
		}
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(`{"ticket":null,"lease":null,"detail":"nothing"}`))}, nil
	})}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.ClaimNext(t.Context(), client.NextQuery{Board: "WEB", Wait: time.Minute})
	if err != nil || got.Ticket != nil || got.Lease != nil || got.Detail != "nothing" {
		t.Errorf("ClaimNext = %+v, %v", got, err)
	}
	if len(keys) != 2 || keys[0] == "" || keys[0] != keys[1] {
		t.Errorf("keys = %q, want the same one twice", keys)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	c, err := client.New(client.Config{URL: srv.URL, Backoff: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Health(t.Context())
	var down *client.UnreachableError
	if !errors.As(err, &down) || down.URL != srv.URL {
		t.Errorf("got %v, want an *UnreachableError for %s", err, srv.URL)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Health(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		body   string
		want   client.Health
		code   events.Code
	}{
		"healthy":  {200, `{"status":"healthy","degraded":["redis"]}`, client.Health{Status: "healthy", Degraded: []string{"redis"}}, ""},
		"down":     {503, `{"status":"down","degraded":["log"]}`, client.Health{Status: "down", Degraded: []string{"log"}}, ""},
		"no board": {404, `<html>`, client.Health{}, events.CodeNotFound},
	} {
		asked := 0
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked++
			w.WriteHeader(test.status)
			_, _ = w.Write([]byte(test.body))
		}))
		c, err := client.New(client.Config{URL: srv.URL})
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Health(t.Context())
		srv.Close()
		if diff := cmp.Diff(test.want, got); diff != "" || events.CodeOf(err) != test.code && test.code != "" || (err == nil) != (test.code == "") {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
		if got.Healthy() != (name == "healthy") || asked != 1 {
			t.Errorf("%s: Healthy is %v after %d requests", name, got.Healthy(), asked)
		}
	}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	title, none := "T", []string{}
	seven := int64(7)
	for name, tc := range map[string]struct {
		call                 func(ctx context.Context, c *client.Client) error
		method, target, body string
		ifMatch              string
	}{
		"board with a slash in its name": {
			func(ctx context.Context, c *client.Client) error { _, err := c.Board(ctx, "A/B"); return err },
			"GET", "/api/boards/A%2FB", "", "",
		},
		"update ticket": {
			func(ctx context.Context, c *client.Client) error {
				_, err := c.UpdateTicket(ctx, commands.UpdateTicket{Ticket: "WEB-1", Title: &title, Labels: &none, ClearDue: true}, &seven)
				return err
			},
			"PATCH", "/api/tickets/WEB-1", `{"due_at":null,"labels":[],"title":"T"}`, `"v7"`,
		},
		"move ticket": {
			func(ctx context.Context, c *client.Client) error {
				_, err := c.MoveTicket(ctx, commands.MoveTicket{Ticket: "7", Column: "Done", Before: "WEB-2"}, nil)
				return err
			},
			"POST", "/api/tickets/7/move", `{"column":"Done","before":"WEB-2"}`, "",
		},
		"tickets": {
			func(ctx context.Context, c *client.Client) error {
				_, err := c.Tickets(ctx, client.TicketQuery{Board: "WEB", Text: "a b", Holder: "bot", Ready: true, Paging: client.Paging{Limit: 5, Cursor: "x"}})
				return err
			},
			"GET", "/api/tickets?board_id=WEB&cursor=x&holder=bot&limit=5&q=a+b&ready=true", "", "",
		},
		"events": {
			func(ctx context.Context, c *client.Client) error {
				_, err := c.Events(ctx, client.EventQuery{After: 3, Types: []events.Type{"ticket_moved", "ticket_created"}})
				return err
			},
			"GET", "/api/events?after=3&type=ticket_moved%2Cticket_created", "", "",
		},
		"one command": {
			func(ctx context.Context, c *client.Client) error {
				_, err := c.Run(ctx, commands.ArchiveBoard{Board: "1"})
				return err
			},
			"POST", "/api/commands", `[{"type":"archive_board","data":{"board":1}}]`, "",
		},
		"two commands": {
			func(ctx context.Context, c *client.Client) error {
				_, err := c.Run(ctx, commands.ArchiveBoard{Board: "1"}, commands.RestoreBoard{Board: "WEB"})
				return err
			},
			"POST", "/api/commands", `[{"type":"archive_board","data":{"board":1}},{"type":"restore_board","data":{"board":"WEB"}}]`, "",
		},
		"claim for a minute": {
			func(ctx context.Context, c *client.Client) error {
				_, err := c.Claim(ctx, "WEB-1", 59*time.Second+time.Millisecond)
				return err
			},
			"POST", "/api/tickets/WEB-1/claim", `{"lease_seconds":60}`, "",
		},
		"claim next": {
			func(ctx context.Context, c *client.Client) error {
				_, err := c.ClaimNext(ctx, client.NextQuery{Board: "WEB", Columns: []commands.Ref{"Not Started", "4"}, Labels: []string{"a"}, Wait: 30 * time.Second})
				return err
			},
			"POST", "/api/boards/WEB/claim-next", `{"columns":["Not Started",4],"labels":["a"],"wait_seconds":30}`, "",
		},
		"heartbeat": {
			func(ctx context.Context, c *client.Client) error { _, err := c.Heartbeat(ctx, "7", 42, 0); return err },
			"POST", "/api/tickets/7/heartbeat", `{"fence":42}`, "",
		},
		"release": {
			func(ctx context.Context, c *client.Client) error {
				_, err := c.Release(ctx, commands.ReleaseTicket{Ticket: "7", Fence: 42, Note: "n"})
				return err
			},
			"POST", "/api/tickets/7/release", `{"fence":42,"note":"n"}`, "",
		},
		"complete": {
			func(ctx context.Context, c *client.Client) error {
				_, err := c.Complete(ctx, commands.CompleteTicket{Ticket: "7", Fence: 42, Evidence: []commands.EvidenceSpec{{Kind: events.Commit, Text: "abc"}}})
				return err
			},
			"POST", "/api/tickets/7/complete", `{"fence":42,"evidence":[{"kind":"commit","text":"abc"}]}`, "",
		},
		"remove dependency": {
			func(ctx context.Context, c *client.Client) error {
				_, err := c.RemoveDependency(ctx, "WEB-2", "WEB-1")
				return err
			},
			"DELETE", "/api/tickets/WEB-2/dependencies/WEB-1", "", "",
		},
		"remove evidence": {
			func(ctx context.Context, c *client.Client) error {
				_, err := c.RemoveEvidence(ctx, commands.RemoveEvidence{Ticket: "WEB-2", Evidence: 3})
				return err
			},
			"DELETE", "/api/tickets/WEB-2/evidence/3", "", "",
		},
		"empty checklist": {
			func(ctx context.Context, c *client.Client) error {
				_, err := c.SetChecklist(ctx, commands.SetChecklist{Ticket: "7"}, nil)
				return err
			},
			"PUT", "/api/tickets/7/checklist", `{"items":[]}`, "",
		},
		"not done": {
			func(ctx context.Context, c *client.Client) error {
				_, err := c.CheckItem(ctx, commands.CheckItem{Ticket: "7", Item: 2})
				return err
			},
			"POST", "/api/tickets/7/checklist", `{"item":2,"done":false}`, "",
		},
		"reject": {
			func(ctx context.Context, c *client.Client) error {
				_, err := c.Reject(ctx, commands.RejectTicket{Ticket: "7", Version: 3, Note: "no", Column: "Not Started"})
				return err
			},
			"POST", "/api/tickets/7/reject", `{"version":3,"note":"no","column":"Not Started"}`, "",
		},
		"ready": {
			func(ctx context.Context, c *client.Client) error { _, err := c.Ready(ctx, "WEB", 5); return err },
			"GET", "/api/boards/WEB/ready?limit=5", "", "",
		},
		"agents of a board": {
			func(ctx context.Context, c *client.Client) error { _, err := c.Agents(ctx, "WEB"); return err },
			"GET", "/api/agents?board=WEB", "", "",
		},
		"pause": {
			func(ctx context.Context, c *client.Client) error {
				_, err := c.PauseAgent(ctx, commands.PauseAgent{Agent: "bot", Reason: "loops"})
				return err
			},
			"POST", "/api/agents/bot/pause", `{"reason":"loops"}`, "",
		},
		"undo a command": {
			func(ctx context.Context, c *client.Client) error { _, err := c.UndoCommand(ctx, "a/b"); return err },
			"POST", "/api/commands/a%2Fb/undo", "", "",
		},
		"undo an actor": {
			func(ctx context.Context, c *client.Client) error {
				_, err := c.UndoActor(ctx, commands.UndoActor{Board: "WEB", Actor: "bot"})
				return err
			},
			"POST", "/api/boards/WEB/undo", `{"actor":"bot","since":0}`, "",
		},
		"delete comment": {
			func(ctx context.Context, c *client.Client) error { return c.DeleteComment(ctx, 9) },
			"DELETE", "/api/comments/9", "", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := setup(t, client.Config{}, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.Method != tc.method || r.URL.RequestURI() != tc.target || string(body) != tc.body {
					t.Errorf("got %s %s %s, want %s %s %s", r.Method, r.URL.RequestURI(), body, tc.method, tc.target, tc.body)
				}
				if got := r.Header.Get("If-Match"); got != tc.ifMatch {
					t.Errorf("If-Match = %q, want %q", got, tc.ifMatch)
				}
				reply(w, 200, "{}")
			})
			if err := tc.call(t.Context(), c); err != nil {
				t.Error(err)
			}
		})
	}
}

// serveLog answers /api/log/head and pages of /api/events like the server.
func serveLog(w http.ResponseWriter, r *http.Request, log []events.Envelope, visible func(*events.Envelope) bool) {
	if r.URL.Path == "/api/log/head" {
		head := events.Head{}
		if len(log) > 0 {
			head = log[len(log)-1].Head()
		}
		reply(w, 200, fmt.Sprintf(`{"log_id":"log-1","position":%d,"hash":%q}`, head.Position, head.Hash))
		return
	}
	after, _ := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	page := struct {
		Items    []*events.Envelope `json:"items"`
		Next     *string            `json:"next_cursor"`
		Position int64              `json:"position"`
	}{Items: []*events.Envelope{}, Position: after}
	for i := int(after); i < len(log); i++ {
		page.Position = log[i].Position
		if visible(&log[i]) {
			page.Items = append(page.Items, &log[i])
		}
		if len(page.Items) == limit || i-int(after) == 20 {
			next := strconv.FormatInt(page.Position, 10)
			page.Next = &next
			break
		}
	}
	_ = json.NewEncoder(w).Encode(page)
}

// sealed makes a log of n comments, one per minute from start.
func sealed(t testing.TB, n int, start time.Time, correlation func(i int) string, at func(i int) time.Time) []events.Envelope {
	t.Helper()
	var head events.Head
	log := make([]events.Envelope, n)
	for i := range log {
		e := events.Envelope{
			Stream: events.BoardStream(1), Version: int64(i + 1), ID: "id" + strconv.Itoa(i), BoardID: 1, TicketID: 1,
			RecordedAt: start.Add(time.Duration(i) * time.Minute), Actor: events.SystemActor, CommandID: strconv.Itoa(i),
		}
		if correlation != nil {
			e.CorrelationID = correlation(i)
		}
		if at != nil {
			e.RecordedAt = at(i)
		}
		var err error
		if log[i], err = events.Seal(head, e, events.CommentAdded{CommentID: int64(i + 1), Text: "x"}); err != nil {
			t.Fatal(err)
		}
		head = log[i].Head()
	}
	return log
}

// Pages without anything that the caller may see are no end of the log.
func TestAllEventsGoesThroughEmptyPages(t *testing.T) {
	t.Parallel()
	log := sealed(t, 100, time.Now(), nil, nil)
	c := setup(t, client.Config{}, func(w http.ResponseWriter, r *http.Request) {
		serveLog(w, r, log, func(e *events.Envelope) bool { return e.Position == 1 || e.Position == 99 })
	})
	var got []int64
	for e, err := range c.AllEvents(t.Context(), client.EventQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Position)
	}
	if fmt.Sprint(got) != "[1 99]" {
		t.Errorf("got %v, want [1 99]", got)
	}
}

// Since never skips an event that is recent, whatever an import brought.
func TestSince(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	imported := func(i int) string {
		if i >= 20 && i < 60 {
			return "import:abc"
		}
		return ""
	}
	long := func(i int) time.Time {
		if imported(i) != "" {
			return start.Add(-1000 * time.Hour).Add(time.Duration(i) * time.Second)
		}
		return start.Add(time.Duration(i) * time.Minute)
	}
	log := sealed(t, 100, start, imported, long)
	c := setup(t, client.Config{}, func(w http.ResponseWriter, r *http.Request) {
		serveLog(w, r, log, func(*events.Envelope) bool { return true })
	})
	for _, minutes := range []int{-10, 0, 5, 19, 20, 40, 60, 61, 99, 1000} {
		at := start.Add(time.Duration(minutes) * time.Minute)
		after, err := c.Since(t.Context(), client.EventQuery{}, at)
		if err != nil {
			t.Fatal(err)
		}
		for i := range log[:after] {
			if !log[i].RecordedAt.Before(at) {
				t.Errorf("since minute %d starts after %d and skips position %d", minutes, after, i+1)
			}
		}
		if int(after) < len(log) && minutes > 60 && minutes < 99 && after != int64(minutes) {
			t.Errorf("since minute %d starts after %d, want %d", minutes, after, minutes)
		}
	}
}

func TestBadReplyIsAnError(t *testing.T) {
	t.Parallel()
	c := setup(t, client.Config{}, func(w http.ResponseWriter, r *http.Request) { reply(w, 200, "<html>") })
	if _, err := c.Me(t.Context()); err == nil || !strings.Contains(err.Error(), "not what this program expects") {
		t.Errorf("got %v", err)
	}
}
