package http

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/agent-kanban/agent-kanban/events"
)

// commonReplies are shared replies in memory.
type commonReplies struct {
	mu      sync.Mutex
	all     map[string][]byte
	stored  int
	forgets int
}

func (r *commonReplies) Load(_ context.Context, name string) ([]byte, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.all[name]
	return v, ok
}

func (r *commonReplies) Store(_ context.Context, name string, value []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all[name] = value
	r.stored++
}

func (r *commonReplies) Forget(context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.all)
	r.forgets++
}

func (r *commonReplies) count() (stored, forgets int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stored, r.forgets
}

// TestSnapshotsAreShared: what another process has made is taken while it is
// true, and never when anything happened since.
func TestSnapshotsAreShared(t *testing.T) {
	t.Parallel()
	common := &commonReplies{all: map[string][]byte{}}
	a := newApp(t, func(c *Config, _ *Deps) { c.Shared = common })
	if _, forgets := common.count(); forgets != 1 {
		t.Errorf("the start forgot %d times, want once", forgets)
	}
	id := a.board("bob")
	ann, bot := a.user("ann", false), a.agent("bot")
	a.ticket(ann, id, "One")
	// fresh reads like a process that has kept nothing itself.
	fresh := func() reply {
		a.server.kept.replies.InvalidateAll()
		return a.do("GET", "/api/boards/WEB/snapshot", ann, "").want(200)
	}
	first := fresh()
	again := fresh()
	if stored, _ := common.count(); stored != 1 || again.body != first.body || again.header.Get("ETag") != first.header.Get("ETag") {
		t.Errorf("it was made %d times, want once; then\n%s, first\n%s", stored, again.body, first.body)
	}
	// True still, and at a later position.
	a.do("POST", "/api/boards", ann, `{"name":"Other"}`).want(201)
	if later := fresh(); later.header.Get("ETag") != first.header.Get("ETag") || later.body == first.body {
		t.Errorf("after an event elsewhere it is\n%s", later.body)
	}
	// Whoever may not see the board does not, wherever it is kept.
	a.do("GET", "/api/boards/WEB/snapshot", a.user("mallory", false), "").want(404)

	a.ticket(ann, id, "Two")
	if r := fresh(); !strings.Contains(r.body, `"Two"`) {
		t.Errorf("a ticket that was created is missing: %s", r.body)
	}
	lease := a.do("POST", "/api/tickets/1/claim", bot, `{"lease_seconds":600}`).want(200).claim().Lease
	claimed := fresh()
	a.do("POST", "/api/tickets/1/heartbeat", bot, fmt.Sprintf(`{"fence":%d,"lease_seconds":3600}`, lease.Fence)).want(200)
	if r := fresh(); r.header.Get("ETag") == claimed.header.Get("ETag") {
		t.Error("a heartbeat, which is no event, does not show")
	}

	// Nonsense in Redis harms nobody.
	want := fresh()
	for name, value := range common.all {
		common.all[name] = append(value[:len(value)/2:len(value)/2], "nonsense"...)
	}
	if r := fresh(); r.body != want.body {
		t.Errorf("with a damaged reply it is %s", r.body)
	}
	a.server.kept.touch([]events.Envelope{{Type: events.TypeDataRedacted}})
	if _, forgets := common.count(); forgets != 2 || len(common.all) != 0 {
		t.Errorf("after a redaction %d replies are shared", len(common.all))
	}
}
