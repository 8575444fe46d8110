package live

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

func TestAudience(t *testing.T) {
	t.Parallel()
	actor := func(id int64) events.Actor {
		return events.Actor{Kind: events.Human, ID: id, Name: fmt.Sprint("user", id)}
	}
	var a audience
	heard := a.age
	news := func(what string, want bool) {
		t.Helper()
		a.settle()
		if (a.age != heard) != want {
			t.Errorf("%s: news is %v, want %v", what, a.age != heard, want)
		}
		heard = a.age
	}
	news("nobody", false)
	a.join(actor(1))
	news("the first", true)
	a.join(actor(1))
	news("a second socket", false)
	a.leave(1)
	news("one of two sockets", false)
	a.leave(1)
	a.join(actor(1))
	news("away and back", false)
	a.join(actor(2))
	a.leave(2)
	news("there and away", true) // a newcomer between may have seen it
	if len(a.viewers) != 1 {
		t.Errorf("viewers are %+v", a.viewers)
	}
	a.leave(1)
	news("the last", true)
	a.leave(1)
	news("nobody leaves", false)

	for id := range int64(60) {
		a.join(actor(id + 1))
	}
	var f struct {
		Event string
		Data  presence
	}
	if err := json.Unmarshal(a.frame(7), &f); err != nil {
		t.Fatal(err)
	}
	if f.Event != "presence" || f.Data.BoardID != 7 || f.Data.Total != 60 || len(f.Data.Viewers) != maxViewers || f.Data.Viewers[0] != actor(1) {
		t.Errorf("frame is %+v", f)
	}
}

// TestGather: a burst of changes is told of once, and a steady stream of them at
// most once a pause.
func TestGather(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		signal := make(chan struct{}, 1)
		stir := func() {
			select {
			case signal <- struct{}{}:
			default:
			}
		}
		told := 0
		go gather(ctx, signal, 250*time.Millisecond, func() { told++ })
		for range 100 {
			stir()
		}
		<-time.After(time.Second)
		synctest.Wait()
		if told < 1 || told > 2 { // the signal may come while the first is waited for
			t.Errorf("a burst was told of %d times", told)
		}
		<-time.After(time.Minute)
		synctest.Wait()
		told = 0
		for range 1000 {
			stir()
			<-time.After(10 * time.Millisecond)
		}
		synctest.Wait()
		if told < 30 || told > 40 {
			t.Errorf("ten seconds of changes were told of %d times, want at most 40", told)
		}
	})
}
