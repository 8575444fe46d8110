package http

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// agent registers an agent that works on the board WEB, and returns its token.
func (a *app) agent(name string) string {
	a.t.Helper()
	if token, ok := a.users[name]; ok {
		return token
	}
	var v tokenView
	a.do("POST", "/api/auth/tokens", a.user("ann", false), fmt.Sprintf(`{"name":%q,"kind":"agent","boards":["WEB"]}`, name)).want(201).json(&v)
	a.users[name] = v.Token
	return v.Token
}

func (r reply) claim() claimReply {
	r.t.Helper()
	var got claimReply
	r.json(&got)
	if got.Ticket == nil || got.Lease == nil {
		r.t.Fatalf("no ticket was claimed: %s", r.body)
	}
	return got
}

func TestClaimFromTakingToDone(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board()
	ann, bot, rival := a.user("ann", false), a.agent("bot"), a.agent("rival")
	a.ticket(ann, id, "First")
	r := a.do("POST", "/api/tickets/WEB-1/claim", bot, `{"lease_seconds":60}`, "Idempotency-Key: claim").want(200)
	got := r.claim()
	if got.Ticket.CurrentColumn != "In Progress" || got.Lease.Holder != "bot" || *got.Lease != *got.Ticket.Lease {
		t.Errorf("claim answers %s", r.body)
	}
	var page eventPage
	a.do("GET", "/api/events?type=ticket_claimed", ann, "").want(200).json(&page)
	if len(page.Items) != 1 || page.Items[0].Position != got.Lease.Fence {
		t.Errorf("fence is %d, want the position of the only ticket_claimed: %+v", got.Lease.Fence, page.Items)
	}
	if again := a.do("POST", "/api/tickets/WEB-1/claim", bot, `{"lease_seconds":60}`, "Idempotency-Key: claim").want(200); again.body != r.body {
		t.Errorf("repeated claim answers\n%s, the first\n%s", again.body, r.body)
	}
	read := a.do("GET", "/api/tickets/1", ann, "").want(200)
	if !strings.Contains(r.body, strings.TrimSpace(read.body)) || read.header.Get("ETag") != r.header.Get("ETag") {
		t.Errorf("read gives %s\n%s, the claim gave %s\n%s", read.header.Get("ETag"), read.body, r.header.Get("ETag"), r.body)
	}
	fence := fmt.Sprintf(`"fence":%d`, got.Lease.Fence)
	a.run(t, []scenario{
		{name: "held", method: "POST", url: "/api/tickets/WEB-1/claim", user: "rival", status: 409, has: []string{`"claimed"`, "bot"}},
		{name: "held by oneself", method: "POST", url: "/api/tickets/WEB-1/claim", user: "bot", status: 409, has: []string{`"claimed"`}},
		{name: "another's heartbeat", method: "POST", url: "/api/tickets/WEB-1/heartbeat", user: "rival", body: "{" + fence + "}", status: 409, has: []string{`"stale_claim"`}},
		{name: "another's release", method: "POST", url: "/api/tickets/WEB-1/release", user: "rival", status: 403},
		{name: "another fence", method: "PATCH", url: "/api/tickets/WEB-1", user: "bot", body: `{"title":"x","fence":1}`, status: 409, has: []string{`"stale_claim"`}},
		{name: "another fence of a move", method: "POST", url: "/api/tickets/WEB-1/move", user: "bot", body: `{"column":"Done","fence":1}`, status: 409, has: []string{`"stale_claim"`}},
		{name: "lease too short", method: "POST", url: "/api/tickets/WEB-1/heartbeat", user: "bot", body: `{"lease_seconds":1}`, status: 400, has: []string{"lease_seconds"}},
		{name: "evidence of no kind", method: "POST", url: "/api/tickets/WEB-1/complete", user: "bot", body: `{"evidence":[{"kind":"rumour","text":"x"}]}`, status: 400, has: []string{"evidence"}},
	})
	r = a.do("POST", "/api/tickets/WEB-1/complete", bot, "{"+fence+`,"evidence":[{"kind":"commit","text":"abc"}],"note":"done"}`).want(200)
	if got := a.do("GET", "/api/tickets/1", ann, "").body; got != r.body {
		t.Errorf("read gives\n%s, complete gave\n%s", got, r.body)
	}
	var done readmodel.Ticket
	r.json(&done)
	if done.CurrentColumn != "Done" || done.Lease != nil || len(done.Evidence) != 1 {
		t.Errorf("completed ticket is %s", r.body)
	}
	a.do("POST", "/api/tickets/WEB-1/complete", bot, "{"+fence+"}").want(409)
	_ = rival
}

// TestHeartbeatShows renews a lease, of which no event tells: not the cached
// snapshot, nor the ETag, may go on with the old end.
func TestHeartbeatShows(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board()
	ann, bot := a.user("ann", false), a.agent("bot")
	a.ticket(ann, id, "First")
	lease := a.do("POST", "/api/tickets/1/claim", bot, `{"lease_seconds":60}`).want(200).claim().Lease
	read := a.do("GET", "/api/tickets/1", ann, "").want(200)
	tag := read.header.Get("ETag")
	a.do("GET", "/api/tickets/1", ann, "", "If-None-Match: "+tag).want(304)
	snapshot := func() *readmodel.Lease {
		t.Helper()
		var s readmodel.Snapshot
		a.do("GET", "/api/boards/WEB/snapshot", ann, "").want(200).json(&s)
		return s.Tickets[0].Lease
	}
	snapshot()
	if got := snapshot(); *got != *lease {
		t.Errorf("snapshot has the lease %+v, want %+v", got, lease)
	}
	for i, send := range []func() reply{
		func() reply {
			return a.do("POST", "/api/tickets/WEB-1/heartbeat", bot, fmt.Sprintf(`{"fence":%d,"lease_seconds":3600}`, lease.Fence))
		},
		func() reply {
			return a.do("POST", "/api/commands", bot, fmt.Sprintf(`{"type":"heartbeat","data":{"ticket":1,"fence":%d,"lease_seconds":7200}}`, lease.Fence))
		},
	} {
		before, _ := a.db.Head(t.Context())
		r := send().want(200)
		if after, _ := a.db.Head(t.Context()); after.Position != before.Position {
			t.Errorf("heartbeat %d caused %d events, want none", i, after.Position-before.Position)
		}
		if i == 0 {
			lease = r.claim().Lease
		}
		var now readmodel.Ticket
		read = a.do("GET", "/api/tickets/1", ann, "", "If-None-Match: "+tag).want(200)
		read.json(&now)
		if until := time.Until(now.Lease.ExpiresAt); until < time.Duration(i+1)*50*time.Minute {
			t.Errorf("after heartbeat %d the lease ends in %v", i, until)
		}
		if i == 0 && *now.Lease != *lease {
			t.Errorf("heartbeat answers %+v, a read %+v", lease, now.Lease)
		}
		if got := snapshot(); *got != *now.Lease {
			t.Errorf("after heartbeat %d the snapshot has the lease %+v, a ticket %+v", i, got, now.Lease)
		}
		tag = read.header.Get("ETag")
	}
	a.do("PATCH", "/api/tickets/1", bot, `{"title":"Mine"}`, "If-Match: "+tag).want(200)
	a.do("PATCH", "/api/tickets/1", bot, `{"title":"Late"}`, "If-Match: "+tag).want(412)
}

// watched counts subscriptions that are read, and tries to claim.
type watched struct {
	Commands
	Subscription
	waits, subs, tries *atomic.Int64
	waiting            chan struct{}
}

func (w watched) Do(ctx context.Context, m commands.Meta, cmds ...commands.Command) (commands.Receipt, error) {
	if _, ok := cmds[0].(commands.ClaimNext); ok {
		w.tries.Add(1)
	}
	return w.Commands.Do(ctx, m, cmds...)
}

func (w watched) Next(ctx context.Context) ([]events.Envelope, error) {
	if _, waits := ctx.Deadline(); waits && ctx.Value(callKey{}) != nil {
		w.waits.Add(1)
		select {
		case w.waiting <- struct{}{}:
		default:
		}
	}
	return w.Subscription.Next(ctx)
}

func watching(w *watched) option {
	w.waits, w.subs, w.tries, w.waiting = new(atomic.Int64), new(atomic.Int64), new(atomic.Int64), make(chan struct{}, 1)
	return func(_ *Config, d *Deps) {
		w.Commands = d.Commands
		d.Commands = *w
		subscribe := d.Subscribe
		d.Subscribe = func(after int64) Subscription {
			mine := *w
			mine.Subscription = subscribe(after)
			w.subs.Add(1)
			return mine
		}
	}
}

func TestClaimNextWaitsForTheEvent(t *testing.T) {
	t.Parallel()
	var w watched
	a := newApp(t, watching(&w))
	id := a.board()
	ann, bot, rival := a.user("ann", false), a.agent("bot"), a.agent("rival")
	a.ticket(ann, id, "Held")
	a.do("POST", "/api/boards/WEB/claim-next", rival, `{}`).want(200).claim()
	subs, tries := w.subs.Load(), w.tries.Load()
	type timed struct {
		reply
		at time.Time
	}
	got := make(chan timed)
	go func() {
		r := a.do("POST", "/api/boards/WEB/claim-next", bot, `{"wait_seconds":60,"labels":["go"]}`, "Idempotency-Key: next")
		got <- timed{r, time.Now()}
	}()
	<-w.waiting
	a.do("POST", "/api/comments", ann, `{"ticket_id":1,"text":"Nothing to do with it"}`).want(201)
	<-w.waiting // it looked at the comment, and waits on
	if n := w.tries.Load() - tries; n != 1 {
		t.Errorf("after a comment there were %d tries, want the first alone", n)
	}
	a.ticket(ann, id, "Without the label")
	<-w.waiting
	if n := w.tries.Load() - tries; n != 2 {
		t.Errorf("after a ticket of another label there were %d tries, want 2", n)
	}
	start := time.Now()
	a.do("PATCH", "/api/tickets/WEB-2", ann, `{"labels":["go"]}`).want(200)
	r := <-got
	c := r.want(200).claim()
	if c.Ticket.Key != "WEB-2" || c.Lease.Holder != "bot" {
		t.Errorf("claimed is %s", r.body)
	}
	if took := r.at.Sub(start); took > 2*time.Second {
		t.Errorf("it took %v from the ticket being ready to the reply", took)
	}
	if n := w.subs.Load() - subs; n != 1 {
		t.Errorf("one call made %d subscriptions, want 1", n)
	}
	if again := a.do("POST", "/api/boards/WEB/claim-next", bot, `{"wait_seconds":60,"labels":["go"]}`, "Idempotency-Key: next").want(200); again.body != r.body {
		t.Errorf("repeated it answers\n%s, the first time\n%s", again.body, r.body)
	}
}

func TestClaimNextWithoutATicket(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	a.board("vera:viewer")
	a.user("eve", false)
	a.agent("bot")
	const path = "/api/boards/WEB/claim-next"
	a.run(t, []scenario{
		{name: "no body", method: "POST", url: path, user: "bot", status: 200, has: []string{`"ticket":null`, `"lease":null`, "backlog is empty"}},
		{name: "after a wait", method: "POST", url: path, user: "bot", body: `{"wait_seconds":1}`, status: 200, has: []string{`"ticket":null`, "detail"}},
		{name: "too long a wait", method: "POST", url: path, user: "bot", body: `{"wait_seconds":61}`, status: 400, has: []string{"wait_seconds"}},
		{name: "no such column", method: "POST", url: path, user: "bot", body: `{"column":"Nowhere","wait_seconds":60}`, status: 400, has: []string{"Nowhere"}},
		{name: "viewer", method: "POST", url: path, user: "vera", body: `{"wait_seconds":60}`, status: 403},
		{name: "stranger", method: "POST", url: path, user: "eve", body: `{"wait_seconds":60}`, status: 404},
		{name: "unknown field", method: "POST", url: path, user: "bot", body: `{"wait":60}`, status: 400, has: []string{`"wait"`}},
	})
}

// TestWaitsEnd has calls that wait when their client goes, when their board is
// closed to them, and when the server stops.
func TestWaitsEnd(t *testing.T) {
	t.Parallel()
	var w watched
	a := newApp(t, watching(&w))
	a.board()
	ann := a.user("ann", false)
	const body = `{"wait_seconds":60}`
	// The client goes.
	conn, err := net.Dial("tcp", strings.TrimPrefix(a.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST /api/boards/WEB/claim-next HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		a.agent("gone"), len(body), body)
	<-w.waiting
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	replies := make(chan reply)
	next := func(token string) {
		go func() { replies <- a.do("POST", "/api/boards/WEB/claim-next", token, body) }()
		<-w.waiting
	}
	// The board is frozen, and then closed.
	next(a.agent("frozen"))
	a.do("POST", "/api/boards/WEB/freeze", ann, "").want(200)
	if r := (<-replies).want(409); !strings.Contains(r.body, `"frozen"`) {
		t.Errorf("the wait on a frozen board ended with %s", r.body)
	}
	a.do("POST", "/api/boards/WEB/unfreeze", ann, "").want(200)
	next(a.agent("out"))
	a.do("DELETE", "/api/boards/WEB/members/out", ann, "").want(204)
	(<-replies).want(404)
	// The server stops.
	next(a.agent("last"))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := a.server.Shutdown(ctx); err != nil {
		t.Errorf("shut down with a call that waits: %v", err)
	}
	if r := (<-replies).want(503); r.header.Get("Retry-After") == "" {
		t.Error("503 lacks Retry-After")
	}
}

// TestWaitOutlivesTheReadTimeout has a call wait for longer than the server
// gives a client to send its request.
func TestWaitOutlivesTheReadTimeout(t *testing.T) {
	t.Parallel()
	var w watched
	a := newApp(t, watching(&w))
	id := a.board()
	bot := a.agent("bot")
	srv := &http.Server{Handler: a.server.Handler(), ReadTimeout: 50 * time.Millisecond, ReadHeaderTimeout: time.Second}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { _ = srv.Serve(ln) })
	t.Cleanup(func() { _ = srv.Close(); running.Wait() })
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const body = `{"wait_seconds":1}`
	fmt.Fprintf(conn, "POST /api/boards/WEB/claim-next HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		bot, len(body), body)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got claimReply
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || resp.StatusCode != 200 || got.Detail == "" {
		t.Errorf("after the read timeout the reply is %d %+v, %v", resp.StatusCode, got, err)
	}
	_ = id
}

// TestEveryTypeIsThoughtOf fails where a new type of event came and nobody said
// whether it can make a ticket ready.
func TestEveryTypeIsThoughtOf(t *testing.T) {
	t.Parallel()
	idle := []events.Type{
		events.TypeBoardCreated, events.TypeMemberAdded, events.TypeWebhookAdded, events.TypeWebhookUpdated, events.TypeWebhookRemoved,
		events.TypeCommandsUndone, events.TypeTicketClaimed, events.TypeDependencyAdded, events.TypeChecklistChanged,
		events.TypeEvidenceAdded, events.TypeEvidenceRemoved, events.TypeApprovalRequested, events.TypeTicketApproved,
		events.TypeTicketRejected, events.TypeApprovalWithdrawn, events.TypeUsageRecorded, events.TypeCommentAdded,
		events.TypeCommentUpdated, events.TypeCommentDeleted, events.TypeUserRegistered, events.TypeUserUpdated,
		events.TypeUserDeactivated, events.TypeAgentPaused, events.TypeAgentResumed, events.TypeTokenIssued,
		events.TypeTokenRevoked, events.TypeLogImported, "data_redacted",
	}
	for _, kind := range events.Types() {
		w := readiness{}
		wakes := w.wakes(&events.Envelope{Type: kind, TicketID: 1, CommandID: "c"})
		if idle := slices.Contains(idle, kind); wakes == idle {
			t.Errorf("%s: wakes is %v", kind, wakes)
		}
	}
	w := readiness{}
	w.wakes(&events.Envelope{Type: events.TypeTicketClaimed, TicketID: 1, CommandID: "c"})
	for _, row := range []struct {
		e    events.Envelope
		want bool
	}{
		{events.Envelope{Type: events.TypeTicketMoved, TicketID: 1, CommandID: "c"}, false},
		{events.Envelope{Type: events.TypeTicketMoved, TicketID: 1, CommandID: "d"}, true},
		{events.Envelope{Type: events.TypeTicketMoved, TicketID: 2, CommandID: "c"}, true},
	} {
		if got := w.wakes(&row.e); got != row.want {
			t.Errorf("after a claim %+v wakes: %v, want %v", row.e, got, row.want)
		}
	}
}
