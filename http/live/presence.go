package live

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// maxViewers is how many principals a presence frame names; total says how many
// there are.
const maxViewers = 50

// presence is the data of a presence frame: who watches a board through this
// process, the longest there first, each once however many sockets it has.
type presence struct {
	BoardID int64          `json:"board_id"`
	Viewers []events.Actor `json:"viewers"`
	Total   int            `json:"total"`
}

// audience is who watches one board. Whoever leaves stays in it until settle, so
// that a page that is loaded again is no news. Feed.mu guards it.
type audience struct {
	viewers []viewer
	// age counts the sets that this one was.
	age int64
}

type viewer struct {
	actor   events.Actor
	sockets int
}

func (a *audience) find(id int64) int {
	return slices.IndexFunc(a.viewers, func(v viewer) bool { return v.actor.ID == id })
}

// join counts one more socket of the actor.
func (a *audience) join(actor events.Actor) {
	if i := a.find(actor.ID); i >= 0 {
		a.viewers[i].sockets++
		return
	}
	a.viewers = append(a.viewers, viewer{actor, 1})
	a.age++
}

// leave takes a socket of the actor away.
func (a *audience) leave(id int64) {
	if i := a.find(id); i >= 0 {
		a.viewers[i].sockets--
	}
}

// settle lets go whoever has no socket left.
func (a *audience) settle() {
	before := len(a.viewers)
	a.viewers = slices.DeleteFunc(a.viewers, func(v viewer) bool { return v.sockets <= 0 })
	if len(a.viewers) < before {
		a.age++
	}
}

func (a *audience) frame(board int64) []byte {
	p := presence{BoardID: board, Viewers: []events.Actor{}, Total: len(a.viewers)}
	for _, v := range a.viewers[:min(len(a.viewers), maxViewers)] {
		p.Viewers = append(p.Viewers, v.actor)
	}
	text, _ := json.Marshal(frame{"presence", p}) // plain values always marshal
	return text
}

// admit makes a session that may read the board one of its audience and tells it
// that it is subscribed, and who else is there. It reports whether the
// subscription still stands.
func (f *Feed) admit(se *session, sub *subscription, subscribed any) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.boards[sub.board][se] != sub {
		return false
	}
	a := f.audiences[sub.board]
	if a == nil {
		a = &audience{}
		f.audiences[sub.board] = a
	}
	if sub.viewer == 0 {
		actor := se.who().Actor
		sub.viewer = actor.ID
		a.join(actor)
		f.stir(sub.board)
	}
	se.frame("subscribed", subscribed)
	se.write(a.frame(sub.board))
	sub.heard = a.age
	return true
}

// dismiss takes a session's subscription out of the audience. f.mu is held.
func (f *Feed) dismiss(sub *subscription) {
	if a := f.audiences[sub.board]; a != nil && sub.viewer != 0 {
		a.leave(sub.viewer)
		sub.viewer = 0
		f.stir(sub.board)
	}
}

// stir marks a board whose audience may have changed. f.mu is held.
func (f *Feed) stir(board int64) {
	f.stirred[board] = struct{}{}
	select {
	case f.stirring <- struct{}{}:
	default: // it is known already
	}
}

// attend tells the audiences of their changes.
func (f *Feed) attend(ctx context.Context) { gather(ctx, f.stirring, f.cfg.Presence, f.tellPresence) }

// gather calls do after a signal, once for all signals that come within pause, so
// at most once in that time.
func gather(ctx context.Context, signal <-chan struct{}, pause time.Duration, do func()) {
	for {
		select {
		case <-signal:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		do()
	}
}

// tellPresence gives every subscriber of a stirred board the set that it has not
// heard of.
func (f *Feed) tellPresence() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for board := range f.stirred {
		a := f.audiences[board]
		a.settle()
		if len(a.viewers) == 0 {
			delete(f.audiences, board)
			continue
		}
		var text []byte
		for se, sub := range f.boards[board] {
			if sub.viewer == 0 || sub.heard == a.age {
				continue
			}
			if text == nil {
				text = a.frame(board)
			}
			se.write(text)
			sub.heard = a.age
		}
	}
	clear(f.stirred)
}
