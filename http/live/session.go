package live

import (
	"cmp"
	"encoding/json"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"
	"github.com/olahol/melody"

	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/events"
)

// Close codes of our own, from the range that RFC 6455 leaves to applications.
const (
	CloseTooSlow         = 4408 // resume with since
	CloseUnauthenticated = 4401 // no credentials in time, or they ended
)

// resyncAfter is how many positions a client may lack and still be given them
// one by one; past it a snapshot is cheaper for both.
const resyncAfter = 10_000

// sessionKey is where melody's session keeps ours.
const sessionKey = "session"

func sessionOf(ms *melody.Session) *session {
	v, _ := ms.Get(sessionKey)
	se := v.(*session)
	se.attach(ms)
	return se
}

// subscription is one session's interest in one board. session.mu guards ready
// and held, Feed.mu viewer and heard.
type subscription struct {
	board int64
	after int64 // live from here on
	ready bool  // the past has been sent
	held  [][]byte

	viewer int64 // whom it counts as in the audience, 0 = it is not let in yet
	heard  int64 // age of the audience that was told last
}

// session is one WebSocket. Messages wait here, not in melody's buffer, which
// drops when it is full: at most two are handed to melody at a time, and what
// gathers meanwhile is joined into one.
type session struct {
	feed   *Feed
	ms     *melody.Session
	attach func(*melody.Session)
	id     string

	mu        sync.Mutex
	principal auth.Principal
	signedIn  bool
	handed    int      // messages in melody
	pending   [][]byte // messages not yet handed over
	waiting   int      // their bytes, and those held by subscriptions
	closing   bool
	reason    string // of closing, as far as this side did it
	ended     bool
	timers    []*time.Timer

	room    chan struct{} // signalled when pending is empty
	leaving chan struct{} // closed when closing begins
	idle    chan struct{} // closed when, after that, everything has been written
	done    chan struct{} // closed when the connection is over
	closers sync.WaitGroup
}

func newSession(f *Feed) *session {
	se := &session{
		feed: f, id: uuid.NewString(), room: make(chan struct{}, 1),
		leaving: make(chan struct{}), idle: make(chan struct{}), done: make(chan struct{}),
	}
	var once sync.Once
	se.attach = func(ms *melody.Session) { once.Do(func() { se.ms = ms }) }
	return se
}

// kernelBuffer bounds what the kernel keeps for one client: left to itself it
// takes megabytes, in which a stuck client would go unnoticed.
const kernelBuffer = 256 << 10

func (se *session) begin() {
	f := se.feed
	if tcp, ok := se.ms.WebsocketConnection().NetConn().(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(kernelBuffer) // a wish, not a condition
	}
	f.mu.Lock()
	stopped := f.stopped
	if !stopped {
		f.sessions[se] = struct{}{}
	}
	f.mu.Unlock()
	if stopped {
		se.close(melody.CloseGoingAway, "going away")
		return
	}
	se.mu.Lock()
	signedIn := se.signedIn
	if !signedIn {
		se.after(f.cfg.AuthWait, func() {
			if se.userID() == 0 {
				se.close(CloseUnauthenticated, "send credentials first")
			}
		})
	}
	se.mu.Unlock()
	if signedIn {
		se.welcome()
	}
}

// after is called with mu held.
func (se *session) after(d time.Duration, do func()) {
	if !se.ended {
		se.timers = append(se.timers, time.AfterFunc(d, do))
	}
}

func (se *session) end() {
	f := se.feed
	f.mu.Lock()
	delete(f.sessions, se)
	open := len(f.sessions)
	for board, subs := range f.boards {
		if sub := subs[se]; sub != nil {
			f.dismiss(sub)
		}
		delete(subs, se)
		if len(subs) == 0 {
			delete(f.boards, board)
		}
	}
	f.mu.Unlock()
	se.mu.Lock()
	se.ended, se.pending = true, nil
	for _, t := range se.timers {
		t.Stop()
	}
	reason, who := cmp.Or(se.reason, "the client left"), se.principal.Actor
	se.mu.Unlock()
	f.cfg.Log.Info("websocket closed", "principal", principal(who), "reason", reason, "open", open)
	close(se.done)
}

func (se *session) welcome() {
	f := se.feed
	f.mu.Lock()
	open := len(f.sessions)
	f.mu.Unlock()
	se.mu.Lock()
	f.cfg.Log.Info("websocket opened", "principal", principal(se.principal.Actor), "open", open)
	if p := se.principal; !p.Expires.IsZero() {
		se.after(time.Until(p.Expires), func() { se.close(CloseUnauthenticated, "the token has expired") })
	}
	se.mu.Unlock()
	se.frame("connected", map[string]any{
		"client_id": se.id, "log_id": f.deps.Log.LogID(), "position": f.deps.Watermark.Position(),
		"server_time": time.Now().UTC().Format(time.RFC3339Nano),
	})
}

// principal is an actor as logs name it, "-" before it signed in.
func principal(a events.Actor) string {
	if a.ID == 0 {
		return "-"
	}
	return string(a.Kind) + ":" + strconv.FormatInt(a.ID, 10)
}

func (se *session) userID() int64 {
	se.mu.Lock()
	defer se.mu.Unlock()
	return se.principal.Actor.ID
}

func (se *session) who() auth.Principal {
	se.mu.Lock()
	defer se.mu.Unlock()
	return se.principal
}

func (se *session) mayHear(e *events.Envelope) bool {
	se.mu.Lock()
	defer se.mu.Unlock()
	return se.signedIn && SeesPersonal(&se.principal, e)
}

// frame is the JSON of a frame that is not a domain event.
type frame struct {
	Event string `json:"event"`
	Data  any    `json:"data"`
}

// frame sends a frame that is not a domain event.
func (se *session) frame(event string, data any) {
	text, err := json.Marshal(frame{event, data})
	if err != nil {
		se.feed.cfg.Log.Error("encode frame", "error", err)
		return
	}
	se.write(text)
}

func (se *session) refuse(code events.Code, message string) {
	se.frame("error", map[string]any{"code": code, "message": message})
}

// write sends text, which may be shared and is not changed. It never blocks: a
// client that does not keep up is disconnected and told to resume.
func (se *session) write(text []byte) {
	se.mu.Lock()
	defer se.mu.Unlock()
	se.writeLocked(text)
}

func (se *session) writeLocked(text []byte) {
	switch {
	case se.closing || se.ended:
	case se.handed < 2 && len(se.pending) == 0:
		se.handed++
		_ = se.ms.Write(text) // fails only when closed
	default:
		se.pending = append(se.pending, text)
		se.hold(len(text))
	}
}

// hold counts waiting bytes and gives up on a client with too many.
func (se *session) hold(n int) {
	if se.waiting += n; se.waiting > se.feed.cfg.Backlog {
		se.feed.slow.Add(1)
		se.closeLocked(CloseTooSlow, "too slow, resume with since")
	}
}

// messageBytes bounds one joined message: large enough that its frame costs
// nothing, small enough that a close frame need not wait long behind it.
const messageBytes = 128 << 10

// written is told by melody that a message went out.
func (se *session) written() {
	se.mu.Lock()
	defer se.mu.Unlock()
	se.handed--
	if len(se.pending) > 0 {
		size, n := 0, 0
		for n < len(se.pending) && (n == 0 || size+len(se.pending[n]) < messageBytes) {
			size += len(se.pending[n]) + 1
			n++
		}
		text := se.pending[0]
		if n > 1 {
			text = make([]byte, 0, size)
			for i, part := range se.pending[:n] {
				if i > 0 {
					text = append(text, '\n')
				}
				text = append(text, part...)
			}
		}
		se.waiting -= size - n
		se.pending = slices.Delete(se.pending, 0, n)
		se.handed++
		_ = se.ms.Write(text)
	}
	if se.closing && se.handed == 0 {
		close(se.idle)
	}
	if len(se.pending) == 0 {
		select {
		case se.room <- struct{}{}:
		default:
		}
	}
}

// deliver sends live events of a board, or holds them until the past is sent.
func (se *session) deliver(sub *subscription, text []byte) {
	se.mu.Lock()
	defer se.mu.Unlock()
	if sub.ready {
		se.writeLocked(text)
		return
	}
	sub.held = append(sub.held, text)
	se.hold(len(text))
}

// drain waits until everything handed to write has left for the network, so
// that replaying the past never makes a client look slow.
func (se *session) drain() bool {
	for {
		se.mu.Lock()
		empty, over := len(se.pending) == 0, se.closing || se.ended
		se.mu.Unlock()
		if empty || over {
			return !over
		}
		select {
		case <-se.room:
		case <-se.leaving:
			return false
		case <-se.done:
			return false
		case <-time.After(se.feed.melody.Config.WriteWait):
			return false
		}
	}
}

// close says why and ends the connection, without waiting for it.
func (se *session) close(code int, reason string) {
	se.mu.Lock()
	defer se.mu.Unlock()
	se.closeLocked(code, reason)
}

func (se *session) closeLocked(code int, reason string) {
	if se.closing || se.ended {
		return
	}
	se.closing, se.reason = true, reason
	close(se.leaving)
	if code == CloseTooSlow {
		se.pending = nil
	}
	if se.handed == 0 {
		close(se.idle)
	}
	conn := se.ms.WebsocketConnection()
	se.closers.Go(func() {
		// What was said before goes first, but nobody waits for the slow.
		if code != CloseTooSlow {
			select {
			case <-se.idle:
			case <-se.done:
			case <-time.After(time.Second):
			}
		}
		// Past melody's buffer, behind the message that is being written; a
		// client that reads nothing at all does not get it.
		err := conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason),
			time.Now().Add(se.feed.melody.Config.WriteWait))
		if err == nil {
			select { // the client's answer, before the reset that closing early may cause
			case <-se.done:
			case <-time.After(time.Second):
			}
		}
		_ = conn.Close()
	})
}
