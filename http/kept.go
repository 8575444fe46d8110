package http

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/agent-kanban/agent-kanban/events"
)

// keptBytes bounds the replies that are kept; a snapshot of 500 tickets has some
// 300 KB.
const keptBytes = 32 << 20

// keptKey names a reply: "snapshot", "statistics", or "at" with an instant.
type keptKey struct {
	board int64
	kind  string
}

// kept is a reply that is encoded, and compressed, once for all who ask: JSON
// whose first member is the position that it is true at. That one moves on with
// every event elsewhere, so it is written afresh in front of the rest.
type kept struct {
	rest     []byte // behind {"position":N
	tag      string // weak: of the rest
	position int64  // read at
	begun    int64  // by the cache's clock
	// past is a reply about a moment that is over: only a redaction changes it,
	// and its position stays.
	past    bool
	expires time.Time // zero = never; for what depends on the time of day

	squeeze [2]sync.Once
	forms   [2][]byte // of rest, by coding
}

// keptReplies keeps replies about boards. One stays true for as long as nothing
// was appended to its board's stream, which the feed's reader tells through touch.
type keptReplies struct {
	building [64]sync.Mutex // by board: one query serves all who ask at once
	replies  *otter.Cache[keptKey, *kept]
	shared   SharedReplies // nil = none

	mu      sync.Mutex
	touched map[int64]int64 // board to its last event's position
	dropped map[int64]int64 // board to the clock of its last drop
	cleared int64           // the clock of the last redaction
	clock   int64
}

func newKeptReplies(shared SharedReplies) (*keptReplies, error) {
	replies, err := otter.New(&otter.Options[keptKey, *kept]{
		MaximumWeight: keptBytes, Executor: func(fn func()) { fn() },
		// Room for the compressed forms, which come later.
		Weigher: func(key keptKey, k *kept) uint32 { return uint32(len(k.rest)+len(k.rest)/2+len(key.kind)) + 256 },
	})
	return &keptReplies{replies: replies, shared: shared, touched: map[int64]int64{}, dropped: map[int64]int64{}}, err
}

func (kr *keptReplies) touch(batch []events.Envelope) {
	kr.mu.Lock()
	defer kr.mu.Unlock()
	for i := range batch {
		e := &batch[i]
		if e.BoardID != 0 {
			kr.touched[e.BoardID] = e.Position
		}
		if e.Type == events.TypeDataRedacted {
			if kr.shared != nil {
				kr.shared.Forget(context.Background())
			}
			kr.clock++
			kr.cleared = kr.clock
			kr.replies.InvalidateAll()
		}
	}
}

// drop forgets a board of which something changed that is no event: a lease was
// renewed. What is being read meanwhile is not kept either.
func (kr *keptReplies) drop(board int64) {
	kr.mu.Lock()
	defer kr.mu.Unlock()
	kr.clock++
	kr.dropped[board] = kr.clock
}

// begin returns the clock, before an entry is read.
func (kr *keptReplies) begin() int64 {
	kr.mu.Lock()
	defer kr.mu.Unlock()
	return kr.clock
}

// stale is called with mu held.
func (kr *keptReplies) stale(key keptKey, k *kept) bool {
	switch {
	case kr.cleared > k.begun:
		return true
	case k.past:
		return false
	default:
		return kr.touched[key.board] > k.position || kr.dropped[key.board] > k.begun ||
			!k.expires.IsZero() && !time.Now().Before(k.expires)
	}
}

func (kr *keptReplies) get(key keptKey) *kept {
	k, ok := kr.replies.GetIfPresent(key)
	if !ok {
		return nil
	}
	kr.mu.Lock()
	defer kr.mu.Unlock()
	if kr.stale(key, k) {
		return nil
	}
	return k
}

func (kr *keptReplies) put(key keptKey, k *kept) {
	if len(k.rest) > keptBytes/4 {
		return
	}
	kr.mu.Lock()
	defer kr.mu.Unlock()
	if !kr.stale(key, k) {
		kr.replies.Set(key, k)
	}
}

// keeping is how a reply is made and for how long it is good.
type keeping struct {
	// read returns the reply, whose first member in JSON is the position.
	read func(ctx context.Context) (view any, position int64, err error)
	// past: the reply is about that position for ever.
	past bool
	// life bounds how long it is kept; 0 = until the board changes.
	life time.Duration
	// stamp names what the reply would say now, for other processes, and the
	// position at which it would; nil = it is not for them.
	stamp func(ctx context.Context) (stamp string, position int64, err error)
}

// keep answers from what is kept where that is true now. The caller has checked
// that whoever asks may see the board.
func (s *Server) keep(ctx context.Context, key keptKey, how keeping) (answer, error) {
	// An entry is true at the position that queries see now only if the feed
	// has read that far; else it cannot know of what came last.
	at := s.deps.Watermark.Position()
	ready := func() (answer, bool) {
		if s.feed.Seen() < at {
			return answer{}, false
		}
		k := s.kept.get(key)
		if k == nil {
			return answer{}, false
		}
		return k.answer(max(at, k.position)), true
	}
	if a, ok := ready(); ok {
		return a, nil
	}
	lock := &s.kept.building[uint64(key.board)%uint64(len(s.kept.building))]
	lock.Lock()
	defer lock.Unlock()
	if a, ok := ready(); ok {
		return a, nil
	}
	k := &kept{begun: s.kept.begin(), past: how.past}
	if how.life > 0 {
		k.expires = time.Now().Add(how.life)
	}
	if err := s.make(ctx, k, key, how); err != nil {
		return answer{}, err
	}
	if s.feed.Seen() > 0 && (k.past || k.position >= s.feed.Begun()) {
		s.kept.put(key, k)
	}
	return k.answer(k.position), nil
}

// make fills k: with what another process has made of the same, or by reading.
func (s *Server) make(ctx context.Context, k *kept, key keptKey, how keeping) error {
	if s.cfg.Shared == nil || how.stamp == nil {
		return k.read(ctx, how)
	}
	before, position, err := how.stamp(ctx)
	if err != nil {
		return err
	}
	if k.load(ctx, s.cfg.Shared, key, s.cfg.Version+" "+before, position) {
		return nil
	}
	if err := k.read(ctx, how); err != nil {
		return err
	}
	// What came between the stamp and the reading would go by a wrong name.
	if after, _, err := how.stamp(ctx); err == nil && after == before {
		k.store(ctx, s.cfg.Shared, key, s.cfg.Version+" "+before)
	}
	return nil
}

func (k *kept) read(ctx context.Context, how keeping) error {
	view, position, err := how.read(ctx)
	if err != nil {
		return err
	}
	return k.encode(view, position)
}

const keptHead = `{"position":`

func (k *kept) encode(view any, position int64) error {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(view); err != nil {
		return err
	}
	head := appendHead(nil, position)
	rest, ok := bytes.CutPrefix(buf.Bytes(), head)
	if !ok {
		return errors.New("a reply that is kept does not begin with its position")
	}
	k.set(rest, position)
	return nil
}

func (k *kept) set(rest []byte, position int64) {
	sum := sha256.Sum256(rest)
	k.rest, k.position, k.tag = rest, position, `W/"`+hex.EncodeToString(sum[:12])+`"`
}

func appendHead(b []byte, position int64) []byte {
	return strconv.AppendInt(append(b, keptHead...), position, 10)
}

func (k *kept) answer(position int64) answer {
	if k.past {
		position = k.position
	}
	return answer{kept: k, position: position}
}

// sendKept writes a kept reply in the best coding that the client takes. The tag
// is weak: the position in front may have moved on, and Kanban-Position says so
// with a 304 too.
func (s *Server) sendKept(c *call, status int, a *answer) {
	h := c.gin.Writer.Header()
	h.Set("ETag", a.kept.tag)
	h.Set("Cache-Control", "private, no-cache")
	h.Add("Vary", "Accept-Encoding")
	if matches(c.header("If-None-Match"), a.kept.tag[len("W/"):]) {
		c.gin.Writer.WriteHeader(http.StatusNotModified)
		c.gin.Writer.WriteHeaderNow()
		return
	}
	head := appendHead(make([]byte, 0, 40), a.position)
	coding := negotiate(c.header("Accept-Encoding"))
	if len(a.kept.rest) < worthSqueezing {
		coding = identity
	}
	body := a.kept.body(head, coding)
	if coding != identity {
		h.Set("Content-Encoding", coding.String())
	}
	s.sendBytes(c, status, jsonType, body)
}
