package live

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/olahol/melody"
	"golang.org/x/sync/semaphore"

	"github.com/agent-kanban/agent-kanban/events"
)

// Feed carries events from the log to the WebSocket sessions. Two goroutines:
// collect takes batches as they are committed, publish sends whatever of them
// the read model already holds. So everything that piled up while a round was
// sent goes out as one message per client in the next.
//
// Lock order: Feed.mu, then session.mu.
type Feed struct {
	cfg    Config
	deps   Deps
	melody *melody.Melody

	mu       sync.Mutex
	sessions map[*session]struct{}
	boards   map[int64]map[*session]*subscription
	// audiences are who watches the boards, stirred those that may have changed.
	audiences map[int64]*audience
	stirred   map[int64]struct{}
	// claimed is the end of the last round: what subscriptions start after.
	claimed int64
	// advanced is closed when claimed grows, and replaced.
	advanced chan struct{}
	stopped  bool

	stirring chan struct{} // signalled when a board is stirred

	queue   chan []events.Envelope
	room    *semaphore.Weighted // bytes that may still be in queue
	cancel  context.CancelFunc
	running sync.WaitGroup // collect, publish, patrol and attend
	open    sync.WaitGroup // sockets
	seen    atomic.Int64   // last position that collect took
	begun   atomic.Int64   // where collect started
	notices atomic.Int64   // events given to sessions
	slow    atomic.Int64   // sessions closed for being slow
}

// queueLength is how many batches may wait between the goroutines: enough that
// collect never starves, little enough that publish's rounds stay small.
const queueLength = 256

// queueBytes bounds what waits there in bytes of JSON, so that a read model that
// hangs does not gather the log in memory: collect then waits with it.
const queueBytes = 4 << 20

// weight is what a batch counts against queueBytes: one that is larger counts as
// all of them, so that it gets through alone.
func weight(batch []events.Envelope) int64 {
	size := 0
	for i := range batch {
		size += len(batch[i].JSON())
	}
	return int64(min(size, queueBytes))
}

// New returns a feed that is not running yet.
func New(cfg Config, deps Deps) (*Feed, error) {
	cfg = cfg.withDefaults()
	if err := errors.Join(cfg.validate(), deps.validate()); err != nil {
		return nil, fmt.Errorf("live feed: %w", err)
	}
	f := &Feed{
		cfg: cfg, deps: deps, melody: melody.New(), sessions: map[*session]struct{}{},
		boards: map[int64]map[*session]*subscription{}, audiences: map[int64]*audience{}, stirred: map[int64]struct{}{},
		stirring: make(chan struct{}, 1), advanced: make(chan struct{}), queue: make(chan []events.Envelope, queueLength), room: semaphore.NewWeighted(queueBytes),
	}
	m := f.melody
	m.Config.MaxMessageSize = 64 << 10
	m.Config.PingPeriod = 30 * time.Second
	m.Config.PongWait = 75 * time.Second
	m.Config.WriteWait = 10 * time.Second
	m.Config.MessageBufferSize = 8 // of melody; ours is in session
	m.Upgrader.CheckOrigin = cfg.OriginAllowed
	m.Upgrader.WriteBufferSize = 4096
	m.Upgrader.HandshakeTimeout = 10 * time.Second
	m.Upgrader.Error = func(w http.ResponseWriter, r *http.Request, code int, _ error) {
		e := events.Errorf(events.CodeInvalid, "This address speaks WebSocket. Connect with a WebSocket client.")
		if code == http.StatusForbidden {
			e = events.Errorf(events.CodeForbidden, "Pages of this origin may not connect. The operator can allow it with CORS_ORIGINS.")
		}
		cfg.Refuse(w, r, e)
	}
	m.HandleConnect(func(ms *melody.Session) { sessionOf(ms).begin() })
	m.HandleMessage(func(ms *melody.Session, text []byte) { sessionOf(ms).receive(text) })
	m.HandleMessageBinary(func(ms *melody.Session, _ []byte) { sessionOf(ms).refuse("binary", "Send text frames.") })
	m.HandleSentMessage(func(ms *melody.Session, _ []byte) { sessionOf(ms).written() })
	m.HandleDisconnect(func(ms *melody.Session) { sessionOf(ms).end() })
	return f, nil
}

// Start follows the log from its head.
func (f *Feed) Start() error {
	ctx, cancel := context.WithCancel(context.Background())
	head, err := f.deps.Log.Head(ctx)
	if err != nil {
		cancel()
		return fmt.Errorf("live feed: %w", err)
	}
	f.cancel, f.claimed = cancel, head.Position
	f.begun.Store(head.Position)
	f.seen.Store(head.Position)
	sub := f.deps.Subscribe(head.Position)
	f.running.Go(func() { f.collect(ctx, sub) })
	f.running.Go(func() { f.publish(ctx) })
	f.running.Go(func() { f.patrol(ctx) })
	f.running.Go(func() { f.attend(ctx) })
	return nil
}

// Stop says goodbye to every socket and waits for them and for the goroutines, no longer
// than ctx with those that do not answer. It is safe twice and before Start.
func (f *Feed) Stop(ctx context.Context) {
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

// patrol checks again and again who may still be connected.
func (f *Feed) patrol(ctx context.Context) {
	ticker := time.NewTicker(f.cfg.Recheck)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		f.mu.Lock()
		all := slices.Collect(maps.Keys(f.sessions))
		f.mu.Unlock()
		for _, se := range all {
			if ctx.Err() != nil {
				return
			}
			se.renew(ctx)
		}
	}
}

func (f *Feed) collect(ctx context.Context, sub Subscription) {
	pause := time.Duration(0)
	for {
		batch, err := sub.Next(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			// The cursor stays where it is, so a later try goes on from there.
			f.cfg.Log.Error("live feed reads the log", "error", err)
			pause = min(max(2*pause, 50*time.Millisecond), 2*time.Second)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return
			}
			continue
		}
		pause = 0
		f.cfg.Taken(batch)
		f.seen.Store(batch[len(batch)-1].Position)
		if f.room.Acquire(ctx, weight(batch)) != nil {
			return
		}
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

func (f *Feed) publish(ctx context.Context) {
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
		for at := f.deps.Watermark.Position(); count < roundEvents && last < at; {
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
		for _, batch := range round {
			f.room.Release(weight(batch))
		}
	}
}

func (f *Feed) wait(ctx context.Context, pos int64) bool {
	return f.deps.Watermark.Position() >= pos || f.deps.Watermark.Wait(ctx, pos) == nil
}

// deliver gives a round to the sessions: frames of one board joined by
// newlines, encoded once for all. An event that changes who may see what is
// obeyed before the events after it go out.
func (f *Feed) deliver(ctx context.Context, round [][]events.Envelope) {
	end := round[len(round)-1]
	last := end[len(end)-1].Position
	// From here on, whoever subscribes reads this round from the log: its
	// subscription starts after last, and send skips it.
	f.mu.Lock()
	f.claimed = last
	close(f.advanced)
	f.advanced = make(chan struct{})
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
			if ChangesAccess(e) {
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

func (f *Feed) send(board int64, n *notice) {
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
func (f *Feed) sendPersonal(e *events.Envelope) {
	frame := appendFrame(nil, e)
	f.mu.Lock()
	defer f.mu.Unlock()
	for se := range f.sessions {
		if se.mayHear(e) {
			se.write(frame)
		}
	}
}

// Announce sends a frame that is no event of the log to the sockets of admins,
// and to nobody else. It does not wait for them.
func (f *Feed) Announce(event string, data any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for se := range f.sessions {
		if p := se.who(); p.Administers() {
			se.frame(event, data)
		}
	}
}

// recheck asks again for whoever an event may have changed the access of. The
// read model already holds the event.
func (f *Feed) recheck(ctx context.Context, e *events.Envelope) {
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

// subscribe puts a session into the board's index. What is later than the
// returned subscription's after comes live; the rest is in the log.
func (f *Feed) subscribe(se *session, board int64) *subscription {
	f.mu.Lock()
	defer f.mu.Unlock()
	sub := &subscription{board: board, after: f.claimed}
	if f.boards[board] == nil {
		f.boards[board] = map[*session]*subscription{}
	}
	if before := f.boards[board][se]; before != nil { // once more: it has been let in
		sub.viewer, sub.heard = before.viewer, before.heard
	}
	f.boards[board][se] = sub
	return sub
}

// reach waits until the rounds have come to a position that the read model already
// holds: a reader of the read model may know of it before the feed does.
func (f *Feed) reach(ctx context.Context, pos int64) {
	for {
		f.mu.Lock()
		over, advanced := f.claimed >= pos || f.deps.Watermark.Position() < pos, f.advanced
		f.mu.Unlock()
		if over {
			return
		}
		select {
		case <-advanced:
		case <-ctx.Done():
			return
		}
	}
}

// unsubscribe takes it out again; it reports whether there was one.
func (f *Feed) unsubscribe(se *session, board int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	sub, had := f.boards[board][se]
	if had {
		f.dismiss(sub)
	}
	delete(f.boards[board], se)
	if len(f.boards[board]) == 0 {
		delete(f.boards, board)
	}
	return had
}

// boardsOf lists what a session is subscribed to.
func (f *Feed) boardsOf(se *session) []int64 {
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

// Seen is how far the feed has read the log: Config.Taken was given every event
// in (Begun, Seen].
func (f *Feed) Seen() int64 { return f.seen.Load() }

// Begun is where the feed started to read; 0 before Start.
func (f *Feed) Begun() int64 { return f.begun.Load() }
