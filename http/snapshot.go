package http

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

func (s *Server) timeRoutes() {
	const tag, base = "boards", "/api/boards"
	register(s, op{method: "GET", path: base + "/{id}/snapshot", id: "board_snapshot", summary: "Board, columns and tickets, now or as of a position or time", tag: tag, reply: readmodel.Snapshot{}},
		func(c *call, in *struct {
			BoardPath
			At string `query:"at" doc:"Position or RFC 3339 time"`
		},
		) (answer, error) {
			id, err := s.readable(c, commands.Ref(in.ID))
			if err != nil {
				return answer{}, err
			}
			if in.At == "" {
				return s.snapshot(c.ctx(), id)
			}
			shot, err := s.boardAt(c.ctx(), id, "at", in.At)
			return answer{view: shot, position: shot.Position}, err
		})
	register(s, op{method: "GET", path: base + "/{id}/diff", id: "board_diff", summary: "What differs between two instants, and who changed it", tag: tag, reply: boardDiff{}},
		func(c *call, in *struct {
			BoardPath
			From string `query:"from" required:"true" doc:"Position or RFC 3339 time"`
			To   string `query:"to" doc:"Position or RFC 3339 time; now if empty"`
		},
		) (answer, error) {
			id, err := s.readable(c, commands.Ref(in.ID))
			if err != nil {
				return answer{}, err
			}
			d, err := s.diff(c.ctx(), id, in.From, in.To)
			return answer{view: d}, err
		})
}

// boardAt reads a position or a time, and the board as of then.
func (s *Server) boardAt(ctx context.Context, board int64, field, text string) (readmodel.Snapshot, error) {
	if pos, err := strconv.ParseInt(text, 10, 64); err == nil && pos >= 0 {
		if pos == 0 { // before everything; to the Timeline 0 is now
			return readmodel.Snapshot{}, errNotYet
		}
		return s.deps.Timeline.BoardAt(ctx, board, pos, time.Time{})
	}
	// A plus sign in a query string arrives as a space.
	at, err := time.Parse(time.RFC3339Nano, strings.Replace(text, " ", "+", 1))
	if err != nil {
		return readmodel.Snapshot{}, &events.Error{
			Code: events.CodeInvalid, Message: field + " must be a position or a time like 2025-08-15T00:00:00Z.",
			Fields: map[string]string{field: "must be a position or an RFC 3339 time"},
		}
	}
	return s.deps.Timeline.BoardAt(ctx, board, 0, at)
}

var errNotYet = events.Errorf(events.CodeNotFound, "The board did not exist at that time.")

// snapshotCache keeps encoded snapshots of the boards last asked for. An entry
// stays true for as long as nothing was appended to its board's stream, which
// the feed's reader tells through touch.
type snapshotCache struct {
	building [64]sync.Mutex // by board: one query serves all who ask at once

	mu      sync.Mutex
	entries map[int64]*encodedSnapshot
	touched map[int64]int64 // board to its last event's position
	dropped map[int64]int64 // board to the clock of its last drop
	size    int
	clock   int64
}

// encodedSnapshot is everything behind {"position":N.
type encodedSnapshot struct {
	rest     []byte
	position int64 // read at
	begun    int64 // by the cache's clock
	used     int64
}

// snapshotCacheBytes bounds the cache; a snapshot of 500 tickets has some 300 KB.
const snapshotCacheBytes = 32 << 20

func newSnapshotCache() *snapshotCache {
	return &snapshotCache{entries: map[int64]*encodedSnapshot{}, touched: map[int64]int64{}, dropped: map[int64]int64{}}
}

func (sc *snapshotCache) touch(batch []events.Envelope) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	for i := range batch {
		if e := &batch[i]; e.BoardID != 0 {
			sc.touched[e.BoardID] = e.Position
		}
	}
}

// drop forgets a board of which something changed that is no event: a lease was
// renewed. What is being read meanwhile is not kept either.
func (sc *snapshotCache) drop(board int64) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.clock++
	sc.dropped[board] = sc.clock
	if e := sc.entries[board]; e != nil {
		sc.size -= len(e.rest)
		delete(sc.entries, board)
	}
}

// begin is to be called before an entry is read.
func (sc *snapshotCache) begin() *encodedSnapshot {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	return &encodedSnapshot{begun: sc.clock}
}

func (sc *snapshotCache) get(board int64) *encodedSnapshot {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	e := sc.entries[board]
	if e == nil || sc.touched[board] > e.position {
		return nil
	}
	sc.clock++
	e.used = sc.clock
	return e
}

func (sc *snapshotCache) put(board int64, e *encodedSnapshot) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if len(e.rest) > snapshotCacheBytes/4 || sc.dropped[board] > e.begun {
		return
	}
	if old := sc.entries[board]; old != nil {
		sc.size -= len(old.rest)
	}
	sc.clock++
	e.used = sc.clock
	sc.entries[board] = e
	for sc.size += len(e.rest); sc.size > snapshotCacheBytes; {
		coldest := board
		for id, other := range sc.entries {
			if other.used < sc.entries[coldest].used {
				coldest = id
			}
		}
		sc.size -= len(sc.entries[coldest].rest)
		delete(sc.entries, coldest)
	}
}

// snapshot answers from ready bytes where it can.
func (s *Server) snapshot(ctx context.Context, board int64) (answer, error) {
	// An entry is true at the position that queries see now only if the feed
	// has read that far; else it cannot know of what came last.
	at := s.deps.Watermark.Position()
	cached := func() (answer, bool) {
		if s.feed.Seen() < at {
			return answer{}, false
		}
		e := s.shots.get(board)
		if e == nil {
			return answer{}, false
		}
		return e.answer(max(at, e.position)), true
	}
	if a, ok := cached(); ok {
		return a, nil
	}
	lock := &s.shots.building[uint64(board)%uint64(len(s.shots.building))]
	lock.Lock()
	defer lock.Unlock()
	if a, ok := cached(); ok {
		return a, nil
	}
	e := s.shots.begin()
	shot, err := s.deps.Queries.Snapshot(ctx, board)
	if err != nil {
		return answer{}, err
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(shot); err != nil {
		return answer{}, err
	}
	head := len(snapshotHead) + len(strconv.FormatInt(shot.Position, 10))
	e.rest, e.position = buf.Bytes()[head:], shot.Position
	if s.feed.Seen() > 0 && shot.Position >= s.feed.Begun() {
		s.shots.put(board, e)
	}
	return e.answer(shot.Position), nil
}

const snapshotHead = `{"position":`

func (e *encodedSnapshot) answer(position int64) answer {
	text := make([]byte, 0, len(snapshotHead)+20+len(e.rest))
	text = append(text, snapshotHead...)
	text = strconv.AppendInt(text, position, 10)
	return answer{ready: append(text, e.rest...), position: position}
}
