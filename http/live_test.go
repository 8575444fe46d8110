package http

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/live"
)

type frame struct {
	Event string          `json:"event"`
	Data  json.RawMessage `json:"data"`
}

func (f frame) envelope(t testing.TB) events.Envelope {
	t.Helper()
	var e events.Envelope
	if err := json.Unmarshal(f.Data, &e); err != nil {
		t.Fatalf("frame %s: %v", f.Event, err)
	}
	return e
}

// socket is a client; next returns frame by frame what comes in messages, but for
// presence, which comes whenever somebody does.
type socket struct {
	t       testing.TB
	conn    *websocket.Conn
	pending []string
}

func (a *app) dial(query string, headers ...string) (*socket, *http.Response, error) {
	h := http.Header{}
	for _, text := range headers {
		name, value, _ := strings.Cut(text, ": ")
		h.Set(name, value)
	}
	conn, resp, err := websocket.DefaultDialer.DialContext(a.t.Context(), "ws"+strings.TrimPrefix(a.url, "http")+"/ws/connect"+query, h)
	if err != nil {
		return nil, resp, err
	}
	a.t.Cleanup(func() { conn.Close() })
	return &socket{t: a.t, conn: conn}, resp, nil
}

// connect dials as a user and reads the greeting.
func (a *app) connect(user string) *socket {
	a.t.Helper()
	s, _, err := a.dial("", "Authorization: Bearer "+a.user(user, false))
	if err != nil {
		a.t.Fatal(err)
	}
	s.want("connected")
	return s
}

func (s *socket) send(text string) {
	s.t.Helper()
	if err := s.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *socket) next() (frame, error) {
	for {
		if f, err := s.any(); err != nil || f.Event != "presence" {
			return f, err
		}
	}
}

// any returns the next frame whatever it is.
func (s *socket) any() (frame, error) {
	if len(s.pending) == 0 {
		_ = s.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, text, err := s.conn.ReadMessage()
		if err != nil {
			return frame{}, err
		}
		s.pending = strings.Split(string(text), "\n")
	}
	var f frame
	err := json.Unmarshal([]byte(s.pending[0]), &f)
	s.pending = s.pending[1:]
	return f, err
}

func (s *socket) want(event string) frame {
	s.t.Helper()
	f, err := s.next()
	if err != nil {
		s.t.Fatalf("waiting for %s: %v", event, err)
	}
	if f.Event != event {
		s.t.Fatalf("frame is %s %s, want %s", f.Event, f.Data, event)
	}
	return f
}

func (s *socket) wantClose(code int) {
	s.t.Helper()
	for {
		_, err := s.next()
		var closed *websocket.CloseError
		switch {
		case errors.As(err, &closed):
			if closed.Code != code {
				s.t.Fatalf("closed with %d %s, want %d", closed.Code, closed.Text, code)
			}
			return
		case err != nil:
			s.t.Fatalf("ended with %v, want close code %d", err, code)
		}
	}
}

func TestSocketCredentials(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *Config, _ *Deps) {
		c.AuthWait, c.CORSOrigins = 2*time.Second, []string{"https://board.example"}
	})
	ann := a.user("ann", false)
	a.connect("ann") // by header

	var ticket wsTicket
	a.do("POST", "/api/auth/ws-ticket", ann, "").want(201).json(&ticket)
	s, _, err := a.dial("?ticket=" + ticket.Ticket)
	if err != nil {
		t.Fatal(err)
	}
	f := s.want("connected")
	if !strings.Contains(string(f.Data), a.db.LogID()) {
		t.Errorf("greeting lacks the log id: %s", f.Data)
	}
	if _, resp, err := a.dial("?ticket=" + ticket.Ticket); err == nil || resp.StatusCode != 401 {
		t.Errorf("a used ticket connects: %v", err)
	}

	s, _, err = a.dial("")
	if err != nil {
		t.Fatal(err)
	}
	s.send(`{"type":"auth","token":"` + ann + `"}`)
	s.want("connected")
	s.send(`{"type":"ping"}`)
	s.want("pong")
	s.send(`{"type":"get_stats"}`)
	if f := s.want("stats"); !strings.Contains(string(f.Data), `"active_connections":3`) {
		t.Errorf("stats are %s", f.Data)
	}
	s.send(`{"type":"dance"}`)
	s.want("error")
	s.send(`not json`)
	s.want("error")

	s, _, _ = a.dial("")
	s.send(`{"type":"auth","token":"akb_wrong"}`)
	s.want("error")
	s.wantClose(live.CloseUnauthenticated)
	s, _, _ = a.dial("")
	s.send(`{"type":"subscribe_board","board_id":1}`)
	s.want("error")
	s.wantClose(live.CloseUnauthenticated)
	s, _, _ = a.dial("")
	s.wantClose(live.CloseUnauthenticated) // says nothing at all

	for origin, ok := range map[string]bool{"https://evil.example": false, "https://board.example": true, a.url: true, "null": false} {
		s, resp, err := a.dial("", "Authorization: Bearer "+ann, "Origin: "+origin)
		if ok != (err == nil) || !ok && resp.StatusCode != 403 {
			t.Errorf("origin %s: %v", origin, err)
		}
		if s != nil {
			s.conn.Close()
		}
	}
	if _, resp, err := a.dial("", "Authorization: Bearer nonsense"); err == nil || resp.StatusCode != 401 {
		t.Errorf("a bad token connects: %v", err)
	}
	s = a.connect("ann")
	s.send(`{"type":"` + strings.Repeat("x", 65<<10) + `"}`)
	s.wantClose(websocket.CloseMessageTooBig)
}

func TestSocketFollowsAndResumes(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board("bob")
	ann := a.user("ann", false)
	s := a.connect("bob")
	s.send(fmt.Sprintf(`{"type":"subscribe_board","board_id":%d}`, id))
	s.want("subscribed")
	a.ticket(ann, id, "One")
	e := s.want("ticket_created").envelope(t)
	if got := a.do("GET", "/api/tickets/1", ann, "").header.Get("Kanban-Position"); got < fmt.Sprint(e.Position) {
		t.Errorf("the frame came at %d before queries (%s) saw it", e.Position, got)
	}
	s.send(`{"type":"subscribe_board","board_id":99}`)
	s.want("error")
	s.send(fmt.Sprintf(`{"type":"unsubscribe_board","board_id":%d}`, id))
	s.want("unsubscribed")
	s.send(fmt.Sprintf(`{"type":"unsubscribe_board","board_id":%d}`, id))
	s.want("error")

	// Resume in the middle of writing: no event lost, none twice, in order.
	const writes = 300
	done := make(chan error, 1)
	go func() {
		for i := range writes {
			_, err := a.seq.Do(context.Background(), commands.Meta{Actor: events.SystemActor, Trusted: true},
				commands.UpdateTicket{Ticket: "1", Title: new(fmt.Sprintf("Title %d", i))})
			if err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	since := e.Position
	for since < e.Position+writes {
		s := a.connect("bob")
		s.send(fmt.Sprintf(`{"type":"subscribe_board","board_id":"WEB","since":%d}`, since))
		f := s.want("subscribed")
		if !strings.Contains(string(f.Data), `"recovered":true`) {
			t.Fatalf("not recovered: %s", f.Data)
		}
		for range 70 {
			got := s.want("ticket_updated").envelope(t)
			if got.Position != since+1 {
				t.Fatalf("position %d after %d", got.Position, since)
			}
			since = got.Position
			if since == e.Position+writes {
				break
			}
		}
		s.conn.Close()
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}

	for name, ask := range map[string]string{
		"ahead":     fmt.Sprintf(`{"type":"subscribe_board","board_id":1,"since":%d}`, since+1000),
		"other log": `{"type":"subscribe_board","board_id":1,"since":1,"log_id":"another"}`,
	} {
		s := a.connect("bob")
		s.send(ask)
		if f := s.want("subscribed"); !strings.Contains(string(f.Data), `"recovered":false`) {
			t.Errorf("%s: %s", name, f.Data)
		}
		s.want("resync")
		a.do("PATCH", "/api/tickets/1", ann, fmt.Sprintf(`{"title":%q}`, name)).want(200)
		s.want("ticket_updated") // live goes on
	}
}

// Whoever has just read a snapshot knows of events that the feed may not have sent
// yet: that is no reason to begin anew.
func TestSocketGoesOnFromASnapshot(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	ann := a.user("ann", true)
	a.do("POST", "/api/boards", ann, `{"name":"Web","key":"WEB"}`).want(201)
	a.do("POST", "/api/tickets", ann, `{"board_id":"WEB","title":"One"}`).want(201)
	for i := range 200 {
		s := a.connect("ann")
		at := a.do("PATCH", "/api/tickets/WEB-1", ann, fmt.Sprintf(`{"title":"Title %d"}`, i)).want(200).header.Get("Kanban-Position")
		s.send(`{"type":"subscribe_board","board_id":"WEB","since":` + at + `}`)
		if f := s.want("subscribed"); !strings.Contains(string(f.Data), `"recovered":true`) {
			t.Fatalf("round %d: since %s: %s", i, at, f.Data)
		}
		s.conn.Close()
	}
}

func TestSocketObeysPermissions(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board("bob", "eve")
	ann := a.user("ann", false)
	root := a.user("root", true)
	stranger := a.connect("zoe")
	stranger.send(fmt.Sprintf(`{"type":"subscribe_board","board_id":%d}`, id))
	if f := stranger.want("error"); !strings.Contains(string(f.Data), "not_found") {
		t.Errorf("a stranger gets %s", f.Data)
	}
	bob, eve := a.connect("bob"), a.connect("eve")
	for _, s := range []*socket{bob, eve} {
		s.send(fmt.Sprintf(`{"type":"subscribe_board","board_id":%d}`, id))
		s.want("subscribed")
	}
	a.ticket(ann, id, "Seen by both")
	bob.want("ticket_created")
	eve.want("ticket_created")
	a.do("DELETE", "/api/boards/WEB/members/eve", ann, "").want(204)
	a.ticket(ann, id, "Seen by bob")
	eve.want("unsubscribed")
	bob.want("member_removed")
	bob.want("ticket_created")
	eve.send(`{"type":"ping"}`)
	eve.want("pong") // and nothing before it

	// Internal boards are for all who are signed in, until they are private again.
	a.do("PUT", "/api/boards/WEB", ann, `{"visibility":"internal"}`).want(200)
	bob.want("board_updated") // a subscription starts after what the feed has sent, not after the reply
	eve.send(fmt.Sprintf(`{"type":"subscribe_board","board_id":%d}`, id))
	eve.want("subscribed")
	a.do("PUT", "/api/boards/WEB", ann, `{"visibility":"private"}`).want(200)
	eve.want("unsubscribed")

	// A revoked token ends its connection; events of users go to admins and to
	// the user.
	admin, _, err := a.dial("", "Authorization: Bearer "+root)
	if err != nil {
		t.Fatal(err)
	}
	admin.want("connected")
	var issued tokenView
	a.do("POST", "/api/auth/tokens", a.user("bob", false), `{"name":"mine","role":"agent"}`).want(201).json(&issued)
	admin.want("token_issued")
	agent, _, err := a.dial("", "Authorization: Bearer "+issued.Token)
	if err != nil {
		t.Fatal(err)
	}
	agent.want("connected")
	a.do("DELETE", fmt.Sprintf("/api/auth/tokens/%d", issued.ID), a.user("bob", false), "").want(204)
	agent.wantClose(live.CloseUnauthenticated)
	admin.want("token_revoked")
	a.do("GET", "/api/boards", issued.Token, "").want(401)
	if r := a.do("GET", "/api/events?type=token_issued", ann, "").want(200); strings.Contains(r.body, "mine") {
		t.Errorf("somebody else's token is in the events: %s", r.body)
	}
	if r := a.do("GET", "/api/events?type=token_issued", root, "").want(200); !strings.Contains(r.body, "mine") {
		t.Errorf("an admin does not see the token: %s", r.body)
	}
	a.do("DELETE", "/api/boards/WEB", ann, "").want(204)
	for {
		f, err := bob.next()
		if err != nil {
			t.Fatal(err)
		}
		if f.Event == "unsubscribed" {
			break
		}
	}
}

func TestSlowSocket(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *Config, _ *Deps) { c.Backlog = 256 << 10 })
	id := a.board("bob", "eve")
	slow := a.connect("bob")
	fast := a.connect("eve")
	for _, s := range []*socket{slow, fast} {
		s.send(fmt.Sprintf(`{"type":"subscribe_board","board_id":%d}`, id))
		s.want("subscribed")
	}
	text := strings.Repeat("long ", 2000)
	writes := 0
	for ; a.server.feed.Stats().SlowClosed == 0; writes++ {
		if writes == 5000 {
			t.Fatal("the slow client is never noticed")
		}
		_, err := a.seq.Do(t.Context(), commands.Meta{Actor: events.SystemActor, Trusted: true},
			commands.CreateTicket{Board: "WEB", Title: "T", Description: text})
		if err != nil {
			t.Fatal(err)
		}
		fast.want("ticket_created") // is not held up by the other
	}
	slow.wantClose(live.CloseTooSlow)
	// It comes again with the last position it has.
	again := a.connect("bob")
	again.send(fmt.Sprintf(`{"type":"subscribe_board","board_id":%d,"since":0}`, id))
	again.want("subscribed")
	for created := 0; created < writes; {
		f, err := again.next()
		if err != nil {
			t.Fatal(err)
		}
		if f.Event == "ticket_created" {
			created++
		}
	}
}

func TestShutdownSaysGoodbye(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	a.board("bob")
	s := a.connect("bob")
	stream := a.follow("bob", "")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := a.server.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	s.wantClose(websocket.CloseGoingAway)
	for stream.scan.Scan() {
	}
}

// stream is a client of the SSE feed.
type stream struct {
	t    testing.TB
	scan *bufio.Scanner
	body interface{ Close() error }
}

func (a *app) follow(user, query string, headers ...string) *stream {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), "GET", a.url+"/api/events"+query, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Accept", streamType)
	req.Header.Set("Authorization", "Bearer "+a.user(user, false))
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := client.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != streamType {
		a.t.Fatalf("stream answers %d %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	a.t.Cleanup(func() { resp.Body.Close() })
	scan := bufio.NewScanner(resp.Body)
	scan.Buffer(nil, 1<<20)
	return &stream{t: a.t, scan: scan, body: resp.Body}
}

// next returns the next event, or "" for a comment line.
func (s *stream) next() (id string, e events.Envelope) {
	s.t.Helper()
	for s.scan.Scan() {
		line := s.scan.Text()
		if rest, ok := strings.CutPrefix(line, "id: "); ok {
			id = rest
		}
		if rest, ok := strings.CutPrefix(line, "data: "); ok {
			if err := json.Unmarshal([]byte(rest), &e); err != nil {
				s.t.Fatal(err)
			}
			return id, e
		}
	}
	s.t.Fatalf("the stream ended: %v", s.scan.Err())
	return "", e
}

func TestEventStream(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *Config, _ *Deps) { c.Heartbeat = 10 * time.Millisecond })
	id := a.board("bob")
	ann := a.user("ann", false)
	a.ticket(ann, id, "One")
	s := a.follow("bob", "")
	var last string
	for {
		at, e := s.next()
		if at != fmt.Sprint(e.Position) {
			t.Fatalf("id %s of position %d", at, e.Position)
		}
		if e.BoardID == 0 && e.Stream != events.UserStream(2) {
			t.Errorf("bob gets %s of %s", e.Type, e.Stream)
		}
		if last = at; e.Type == events.TypeTicketCreated {
			break
		}
	}
	for s.scan.Scan() && s.scan.Text() != ": still here" {
	}
	a.ticket(ann, id, "Two") // live
	if _, e := s.next(); e.TicketID != 2 {
		t.Errorf("live event is %+v", e)
	}
	s.body.Close()
	a.ticket(ann, id, "Three") // while away

	s = a.follow("bob", "?after=1", "Last-Event-ID: "+last)
	for _, want := range []int64{2, 3} {
		if _, e := s.next(); e.TicketID != want {
			t.Errorf("after resuming came ticket %d, want %d", e.TicketID, want)
		}
	}
	narrow := a.follow("bob", "?board=WEB&type=ticket_moved,comment_added")
	a.do("POST", "/api/tickets/2/move", ann, `{"column":"Done"}`).want(200)
	if _, e := narrow.next(); e.Type != events.TypeTicketMoved {
		t.Errorf("narrow stream has %s", e.Type)
	}
	if _, e := s.next(); e.Type != events.TypeTicketMoved {
		t.Errorf("wide stream has %s", e.Type)
	}
	// Whoever loses the board hears of it no more.
	a.do("DELETE", "/api/boards/WEB/members/bob", ann, "").want(204)
	a.ticket(ann, id, "Four")
	a.do("POST", "/api/boards", ann, `{"name":"Open","key":"OPEN","visibility":"internal"}`).want(201)
	if _, e := s.next(); e.Type != events.TypeBoardCreated { // what was before it has gone by
		t.Errorf("after losing the board came %s of %s", e.Type, e.Stream)
	}
	a.do("PUT", "/api/boards/WEB", ann, `{"visibility":"internal"}`).want(200)
	_, e := s.next()
	for e.BoardID != id { // who runs the open board
		_, e = s.next()
	}
	if e.Type != events.TypeBoardUpdated {
		t.Errorf("of the board that was lost and is open now came %s first", e.Type)
	}

	var page eventPage
	a.do("GET", "/api/events?after=2&limit=2&board=WEB", ann, "").want(200).json(&page)
	if len(page.Items) != 2 || page.NextCursor == nil || *page.NextCursor != fmt.Sprint(page.Items[1].Position) {
		t.Errorf("page is %+v", page)
	}
	a.do("GET", "/api/events?limit=1000&cursor="+*page.NextCursor, ann, "").want(200).json(&page)
	if page.NextCursor != nil || len(page.Items) == 0 {
		t.Errorf("last page is %+v", page)
	}
}
