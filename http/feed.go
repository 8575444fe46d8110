package http

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/olahol/melody"

	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/events"
)

// feed carries events from the log to the WebSocket sessions. Two goroutines:
// collect takes batches as they are committed, publish sends whatever of them
// the read model already holds. So everything that piled up while a round was
// sent goes out as one message per client in the next.
//
// Lock order: feed.mu, then session.mu.
type feed struct {
	s      *Server
	melody *melody.Melody

	mu       sync.Mutex
	sessions map[*session]struct{}
	boards   map[int64]map[*session]*subscription
	// claimed is the end of the last round: what subscriptions start after.
	claimed int64
	stopped bool

	queue   chan []events.Envelope
	cancel  context.CancelFunc
	running sync.WaitGroup // collect and publish
	open    sync.WaitGroup // sockets
	seen    atomic.Int64   // last position that collect took
	begun   int64          // the feed knows every event after this one
	notices atomic.Int64   // events given to sessions
	slow    atomic.Int64   // sessions closed for being slow
}

// queueLength is how many batches may wait between the goroutines: enough that
// collect never starves, little enough that publish's rounds stay small.
const queueLength = 256

func newFeed(s *Server) *feed {
	f := &feed{
		s: s, melody: melody.New(), sessions: map[*session]struct{}{},
		boards: map[int64]map[*session]*subscription{}, queue: make(chan []events.Envelope, queueLength),
	}
	m := f.melody
	m.Config.MaxMessageSize = 64 << 10
	m.Config.PingPeriod = 30 * time.Second
	m.Config.PongWait = 75 * time.Second
	m.Config.WriteWait = 10 * time.Second
	m.Config.MessageBufferSize = 8 // of melody; ours is in session
	m.Upgrader.CheckOrigin = s.originAllowed
	m.Upgrader.WriteBufferSize = 4096
	m.Upgrader.HandshakeTimeout = 10 * time.Second
	m.Upgrader.Error = func(w http.ResponseWriter, r *http.Request, code int, reason error) {
		c := callOf(r.Context())
		e := events.Errorf(events.CodeInvalid, "This address speaks WebSocket. Connect with a WebSocket client.")
		if code == http.StatusForbidden {
			e = events.Errorf(events.CodeForbidden, "Pages of this origin may not connect. The operator can allow it with CORS_ORIGINS.")
		}
		s.fail(c, e)
	}
	m.HandleConnect(func(ms *melody.Session) { sessionOf(ms).begin() })
	m.HandleMessage(func(ms *melody.Session, text []byte) { sessionOf(ms).receive(text) })
	m.HandleMessageBinary(func(ms *melody.Session, _ []byte) { sessionOf(ms).refuse("binary", "Send text frames.") })
	m.HandleSentMessage(func(ms *melody.Session, _ []byte) { sessionOf(ms).written() })
	m.HandleDisconnect(func(ms *melody.Session) { sessionOf(ms).end() })
	return f
}

// start follows the log from its head.
func (f *feed) start() error {
	ctx, cancel := context.WithCancel(context.Background())
	head, err := f.s.deps.Log.Head(ctx)
	if err != nil {
		cancel()
		return err
	}
	f.cancel, f.claimed, f.begun = cancel, head.Position, head.Position
	f.seen.Store(head.Position)
	sub := f.s.deps.Subscribe(head.Position)
	f.running.Go(func() { f.collect(ctx, sub) })
	f.running.Go(func() { f.publish(ctx) })
	return nil
}

// stop says goodbye to every socket and waits for them and for the goroutines.
func (f *feed) stop(ctx context.Context) {
	f.mu.Lock()
	f.stopped = true
	all := make([]*session, 0, len(f.sessions))
	for se := range f.sessions {
		all = append(all, se)
	}
	f.mu.Unlock()
	for _, se := range all {
		se.close(melody.CloseGoingAway, "going away")
	}
	gone := make(chan struct{})
	go func() { f.open.Wait(); close(gone) }()
	select {
	case <-gone:
	case <-ctx.Done():
		for _, se := range all {
			_ = se.ms.WebsocketConnection().Close()
		}
		<-gone
	}
	if f.cancel != nil {
		f.cancel()
	}
	f.running.Wait()
}

func (f *feed) collect(ctx context.Context, sub Subscription) {
	pause := time.Duration(0)
	for {
		batch, err := sub.Next(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			// The cursor stays where it is, so a later try goes on from there.
			f.s.log.Error("live feed reads the log", "error", err)
			pause = min(max(2*pause, 50*time.Millisecond), 2*time.Second)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return
			}
			continue
		}
		pause = 0
		f.s.shots.touch(batch)
		f.seen.Store(batch[len(batch)-1].Position)
		select {
		case f.queue <- batch:
		case <-ctx.Done():
			return
		}
	}
}

// roundEvents bounds one round, so that a message to a client stays small
// enough to be read in one go.
const roundEvents = 512

func (f *feed) publish(ctx context.Context) {
	var round [][]events.Envelope
	for {
		round = round[:0]
		var first []events.Envelope
		select {
		case first = <-f.queue:
		case <-ctx.Done():
			return
		}
		round = append(round, first)
		count, last := len(first), first[len(first)-1].Position
		if !f.wait(ctx, last) {
			return
		}
		// Whatever else the read model holds by now goes along.
		for at := f.s.deps.Watermark.Position(); count < roundEvents && last < at; {
			var next []events.Envelope
			select {
			case next = <-f.queue:
			default:
			}
			if next == nil {
				break
			}
			round = append(round, next)
			count, last = count+len(next), next[len(next)-1].Position
		}
		if !f.wait(ctx, last) {
			return
		}
		f.deliver(ctx, round)
	}
}

func (f *feed) wait(ctx context.Context, pos int64) bool {
	return f.s.deps.Watermark.Position() >= pos || f.s.deps.Watermark.Wait(ctx, pos) == nil
}

// deliver gives a round to the sessions: frames of one board joined by
// newlines, encoded once for all. An event that changes who may see what is
// obeyed before the events after it go out.
func (f *feed) deliver(ctx context.Context, round [][]events.Envelope) {
	end := round[len(round)-1]
	last := end[len(end)-1].Position
	// From here on, whoever subscribes reads this round from the log: its
	// subscription starts after last, and send skips it.
	f.mu.Lock()
	f.claimed = last
	watched := make(map[int64]bool, len(f.boards))
	for board := range f.boards {
		watched[board] = true
	}
	f.mu.Unlock()

	joined := map[int64]*notice{}
	flush := func() {
		for board, n := range joined {
			f.send(board, n)
		}
		clear(joined)
	}
	for _, batch := range round {
		for i := range batch {
			e := &batch[i]
			if changesAccess(e) {
				flush()
				f.recheck(ctx, e)
			}
			switch {
			case e.BoardID == 0:
				f.sendPersonal(e)
			case watched[e.BoardID]:
				n := joined[e.BoardID]
				if n == nil {
					n = &notice{}
					joined[e.BoardID] = n
				}
				n.add(e)
			}
		}
	}
	flush()
}

// notice is some events of one board, ready to send.
type notice struct {
	text  []byte
	count int64
	last  int64
}

func (n *notice) add(e *events.Envelope) {
	if len(n.text) > 0 {
		n.text = append(n.text, '\n')
	}
	n.text = appendFrame(n.text, e)
	n.count++
	n.last = e.Position
}

// appendFrame writes {"event":type,"data":envelope}.
func appendFrame(b []byte, e *events.Envelope) []byte {
	b = append(b, `{"event":"`...)
	b = append(b, e.Type...)
	b = append(b, `","data":`...)
	b = append(b, e.JSON()...)
	return append(b, '}')
}

func (f *feed) send(board int64, n *notice) {
	f.mu.Lock()
	defer f.mu.Unlock()
	sent := int64(0)
	for se, sub := range f.boards[board] {
		if sub.after < n.last {
			se.deliver(sub, n.text)
			sent += n.count
		}
	}
	f.notices.Add(sent)
}

// sendPersonal gives an event of a user's stream to that user's sessions, and
// any event without a board to admins.
func (f *feed) sendPersonal(e *events.Envelope) {
	frame := appendFrame(nil, e)
	f.mu.Lock()
	defer f.mu.Unlock()
	for se := range f.sessions {
		if se.mayHear(e) {
			se.write(frame)
		}
	}
}

// seesPersonal is the rule for events that belong to no board.
func seesPersonal(p *auth.Principal, e *events.Envelope) bool {
	return p.Administers() || e.Stream == events.UserStream(p.Actor.ID)
}

// changesAccess reports whether an event can change who may see what.
func changesAccess(e *events.Envelope) bool {
	switch e.Type {
	case events.TypeMemberAdded, events.TypeMemberUpdated, events.TypeMemberRemoved,
		events.TypeBoardUpdated, events.TypeBoardDeleted,
		events.TypeUserUpdated, events.TypeUserDeactivated, events.TypeTokenRevoked:
		return true
	default:
		return false
	}
}

// recheck asks again for whoever an event may have changed the access of. The
// read model already holds the event.
func (f *feed) recheck(ctx context.Context, e *events.Envelope) {
	user := events.StreamID(e.Stream)
	if e.BoardID != 0 {
		user = memberOf(e) // 0 = everybody on the board
	}
	f.mu.Lock()
	var affected []*session
	for se := range f.sessions {
		if user == 0 || se.userID() == user {
			affected = append(affected, se)
		}
	}
	f.mu.Unlock()
	for _, se := range affected {
		if e.BoardID == 0 {
			se.reauthenticate(ctx)
		} else {
			se.recheck(ctx, e.BoardID)
		}
	}
}

func memberOf(e *events.Envelope) int64 {
	fact, err := e.Payload()
	if err != nil {
		return 0
	}
	switch f := fact.(type) {
	case events.MemberAdded:
		return f.UserID
	case events.MemberUpdated:
		return f.UserID
	case events.MemberRemoved:
		return f.UserID
	default:
		return 0
	}
}

// subscribe puts a session into the board's index. What is later than the
// returned subscription's after comes live; the rest is in the log.
func (f *feed) subscribe(se *session, board int64) *subscription {
	f.mu.Lock()
	defer f.mu.Unlock()
	sub := &subscription{board: board, after: f.claimed}
	if f.boards[board] == nil {
		f.boards[board] = map[*session]*subscription{}
	}
	f.boards[board][se] = sub
	return sub
}

// unsubscribe takes it out again; it reports whether there was one.
func (f *feed) unsubscribe(se *session, board int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, had := f.boards[board][se]
	delete(f.boards[board], se)
	if len(f.boards[board]) == 0 {
		delete(f.boards, board)
	}
	return had
}

// boardsOf lists what a session is subscribed to.
func (f *feed) boardsOf(se *session) []int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ids []int64
	for board, subs := range f.boards {
		if subs[se] != nil {
			ids = append(ids, board)
		}
	}
	return ids
}

// feedStats is the JSON of /ws/stats. Counts only: it tells nothing of boards.
type feedStats struct {
	ActiveConnections int   `json:"active_connections"`
	Subscriptions     int   `json:"subscriptions"`
	Boards            int   `json:"boards"`
	Notices           int64 `json:"notices" doc:"Events given to connections since the start"`
	SlowClosed        int64 `json:"slow_closed" doc:"Connections closed for being slow since the start"`
	Position          int64 `json:"position"`
}

func (f *feed) stats() feedStats {
	f.mu.Lock()
	defer f.mu.Unlock()
	st := feedStats{
		ActiveConnections: len(f.sessions), Boards: len(f.boards), Position: f.claimed,
		Notices: f.notices.Load(), SlowClosed: f.slow.Load(),
	}
	for _, subs := range f.boards {
		st.Subscriptions += len(subs)
	}
	return st
}
