package http

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// watchers returns "kind name" of everybody in the next presence frame.
func (s *socket) watchers() string {
	s.t.Helper()
	for {
		f, err := s.any()
		if err != nil {
			s.t.Fatalf("waiting for presence: %v", err)
		}
		if f.Event != "presence" {
			continue
		}
		var p struct {
			BoardID int64 `json:"board_id"`
			Viewers []struct {
				ID         int64
				Kind, Name string
			}
			Total int
		}
		if err := json.Unmarshal(f.Data, &p); err != nil || p.BoardID != 1 || p.Total != len(p.Viewers) {
			s.t.Fatalf("presence is %s: %v", f.Data, err)
		}
		var names []string
		for _, v := range p.Viewers {
			if v.ID == 0 {
				s.t.Errorf("a viewer has no id: %s", f.Data)
			}
			names = append(names, v.Kind+" "+v.Name)
		}
		return strings.Join(names, ", ")
	}
}

func (s *socket) subscribe(board int64) {
	s.t.Helper()
	s.send(fmt.Sprintf(`{"type":"subscribe_board","board_id":%d}`, board))
	if f, err := s.any(); err != nil || f.Event != "subscribed" {
		s.t.Fatalf("instead of subscribed came %s %s %v", f.Event, f.Data, err)
	}
}

// TestPresence: everybody on a board hears who else is there, by principal and
// not by socket, and whoever may not see the board neither hears nor is named.
func TestPresence(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board("bob", "eve")
	ann := a.user("ann", false)
	a.users["bot"] = a.agent("bot")
	wants := func(s *socket, want string) {
		t.Helper()
		if got := s.watchers(); got != want {
			t.Errorf("there are %q, want %q", got, want)
		}
	}
	first := a.connect("ann")
	first.subscribe(id)
	wants(first, "human ann")
	bob := a.connect("bob")
	bob.subscribe(id)
	wants(bob, "human ann, human bob")
	wants(first, "human ann, human bob")

	// A second socket of the same principal is no news, and neither is one that
	// leaves; a stranger and a socket without a subscription are none either.
	second := a.connect("ann")
	second.subscribe(id)
	wants(second, "human ann, human bob")
	second.subscribe(id) // again
	wants(second, "human ann, human bob")
	second.conn.Close()
	stranger := a.connect("zoe")
	stranger.send(fmt.Sprintf(`{"type":"subscribe_board","board_id":%d}`, id))
	stranger.want("error")
	a.connect("eve")
	bot := a.connect("bot")
	bot.subscribe(id)
	wants(bot, "human ann, human bob, agent bot")
	wants(first, "human ann, human bob, agent bot")
	wants(bob, "human ann, human bob, agent bot")

	// Leaving: by a frame, by closing, by losing the board.
	bot.send(fmt.Sprintf(`{"type":"unsubscribe_board","board_id":%d}`, id))
	bot.want("unsubscribed")
	wants(first, "human ann, human bob")
	eve := a.connect("eve")
	eve.subscribe(id)
	wants(eve, "human ann, human bob, human eve")
	wants(first, "human ann, human bob, human eve")
	wants(bob, "human ann, human bob") // of the bot, before eve
	wants(bob, "human ann, human bob, human eve")
	_ = bob.conn.WriteControl(websocket.CloseMessage, nil, time.Now().Add(time.Second))
	wants(first, "human ann, human eve")
	a.do("DELETE", "/api/boards/WEB/members/eve", ann, "").want(204)
	eve.want("unsubscribed")
	wants(first, "human ann")
	for _, s := range []*socket{eve, bot, stranger} { // and they hear nothing of it
		s.send(`{"type":"ping"}`)
		for {
			f, err := s.any()
			if err != nil || f.Event == "presence" && !strings.Contains(string(f.Data), "eve") && s == eve {
				t.Fatalf("after leaving came %s %s %v", f.Event, f.Data, err)
			}
			if f.Event == "pong" {
				break
			}
		}
	}
}
