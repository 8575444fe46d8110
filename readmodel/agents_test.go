package readmodel_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// fleet: ann (1) is a person who has worked on board 1, bob (2) one who has not.
// Agents: both (3) works on boards 1 and 2, idle (4) is a member of board 2
// alone, alone (5) of none, past (6) worked on board 3 and is no member. Board 1
// and 2 are private, board 3 is internal. Viewer 10 is on board 1, 11 on none.
func fleet(t *testing.T) *readmodel.Queries {
	t.Helper()
	db, q := rows(t)
	at := readmodel.FormatTime(epoch)
	fill(t, t.Context(), db, func(exec func(text string, args ...any)) {
		for i, name := range []string{"ann", "bob", "both", "idle", "alone", "past"} {
			kind := events.Agent
			if i < 2 {
				kind = events.Human
			}
			exec(`INSERT INTO users (id, username, display_name, kind, admin, active, created_at, updated_at) VALUES (?1, ?2, '', ?3, 0, 1, ?4, ?4)`,
				i+1, name, string(kind), at)
		}
		exec(`UPDATE users SET paused = 1, pause_reason = 'Stop' WHERE id = 4`)
		for id, visibility := range map[int64]string{1: "private", 2: "private", 3: "internal"} {
			exec(addBoard, id, visibility, at)
		}
		for board, users := range map[int64][]int64{1: {1, 2, 3, 10}, 2: {3, 4}} {
			for _, user := range users {
				exec(`INSERT INTO members VALUES (?, ?, '', 'agent')`, board, user)
			}
		}
		exec(`INSERT INTO work VALUES (1, 1, 'ann', 1, 1, 0), (1, 3, 'both', 5, 3, 1), (2, 3, 'both', 9, 4, 2), (3, 6, 'past', 1, 0, 1)`)
		for _, k := range []struct{ id, board int64 }{{1, 1}, {2, 2}, {3, 1}} {
			holder := int64(3)
			if k.id == 3 {
				holder = 1
			}
			exec(addTicket, k.id, k.board, 1, "a", false, at, 1, 0, 100+k.id, holder)
		}
		exec(`INSERT INTO usage VALUES (1, 1, 1, 3, 10, 1, 7, '', '', ?1), (2, 2, 2, 3, 20, 2, 0, '', '', ?1), (3, 1, 1, 3, 5, 0, 4, '', '', ?1),
			(4, 3, 1, 1, 0, 0, 100, '', '', ?1), (5, 99, 1, 98, 1, 1, 1, '', '', ?1)`, at) // a ticket and a user that are gone
	})
	return q
}

func names(agents []readmodel.Agent) []string {
	out := []string{}
	for _, a := range agents {
		keys := ""
		for _, c := range a.Claims {
			keys += " " + c.Key
		}
		out = append(out, fmt.Sprintf("%s %d/%d %d%s", a.Name, a.TicketsDone, a.LeasesLost, a.Usage.InputTokens, keys))
	}
	return out
}

// Whom a viewer sees, and that the numbers are of the boards it may see.
func TestAgentsAreSeenWhereTheyWork(t *testing.T) {
	t.Parallel()
	q := fleet(t)
	for _, c := range []struct {
		name   string
		viewer readmodel.Viewer
		board  int64
		want   []string // name, done/lost, tokens, claims
	}{
		{"member", readmodel.Viewer{UserID: 10}, 0, []string{"ann 1/0 0 B1-3", "both 3/1 15 B1-1", "past 0/1 0"}},
		{"member, one board", readmodel.Viewer{UserID: 10}, 1, []string{"ann 1/0 0 B1-3", "both 3/1 15 B1-1"}},
		{"member, a board of others", readmodel.Viewer{UserID: 10}, 2, []string{}},
		{"stranger", readmodel.Viewer{UserID: 11}, 0, []string{"past 0/1 0"}},
		{"admin", readmodel.Viewer{Admin: true}, 0, []string{"alone 0/0 0", "ann 1/0 0 B1-3", "both 7/3 35 B1-1 B2-2", "idle 0/0 0", "past 0/1 0"}},
		{"admin, one board", readmodel.Viewer{Admin: true}, 2, []string{"both 4/2 20 B2-2", "idle 0/0 0"}},
		{"admin, token for a board", readmodel.Viewer{Admin: true, Scope: events.Scope{Boards: []int64{2}}}, 0, []string{"both 4/2 20 B2-2", "idle 0/0 0"}},
		{"member, token for another board", readmodel.Viewer{UserID: 10, Scope: events.Scope{Boards: []int64{2}}}, 0, []string{}},
		{"no board", readmodel.Viewer{Admin: true}, 99, []string{}},
	} {
		got, err := q.Agents(t.Context(), c.viewer, c.board)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !slices.Equal(names(got), c.want) {
			t.Errorf("%s: got %q, want %q", c.name, names(got), c.want)
		}
		for _, a := range got {
			if a.Claims == nil {
				t.Errorf("%s: claims of %s: got null, want a list", c.name, a.Name)
			}
		}
	}
}

func TestAgentByIDAndName(t *testing.T) {
	t.Parallel()
	q := fleet(t)
	for _, c := range []struct {
		name   string
		viewer readmodel.Viewer
		refs   []string
		want   string // "" = not found
	}{
		{"seen", readmodel.Viewer{UserID: 10}, []string{"both", "BOTH", "3"}, "both 3/1 15 B1-1"},
		{"paused", readmodel.Viewer{Admin: true}, []string{"idle", "4"}, "idle 0/0 0"},
		{"on a board of others", readmodel.Viewer{UserID: 10}, []string{"idle", "4"}, ""},
		{"on no board", readmodel.Viewer{UserID: 10}, []string{"alone", "5"}, ""},
		{"a person who never worked", readmodel.Viewer{Admin: true}, []string{"bob", "2"}, ""},
		{"nobody", readmodel.Viewer{Admin: true}, []string{"", "99", "0", "-1", "nobody"}, ""},
	} {
		for _, ref := range c.refs {
			got, err := q.Agent(t.Context(), c.viewer, ref)
			switch {
			case c.want == "":
				if events.CodeOf(err) != events.CodeNotFound {
					t.Errorf("%s, %q: got %+v, %v, want not_found", c.name, ref, got, err)
				}
			case err != nil || names([]readmodel.Agent{got})[0] != c.want:
				t.Errorf("%s, %q: got %+v, %v, want %q", c.name, ref, got, err, c.want)
			}
		}
	}
	if a, err := q.Agent(t.Context(), readmodel.Viewer{Admin: true}, "idle"); err != nil || !a.Paused || a.PauseReason != "Stop" || a.LastSeen != nil {
		t.Errorf("idle: got %+v, %v, want it paused and never seen", a, err)
	}
}

// The newest of a claim, a heartbeat and the use of a token.
func TestLastSeen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		fence         int64
		beat, used    time.Duration // after the claim; 0 = none
		want          time.Duration
		usedElsewhere bool
	}{
		{"claim", 5, 0, 0, 0, false},
		{"heartbeat", 5, 2 * time.Hour, time.Hour, 2 * time.Hour, false},
		{"token", 5, time.Hour, 3*time.Hour + time.Microsecond, 3*time.Hour + time.Microsecond, false},
		{"claim after the rest", 5, -time.Hour, -time.Hour, 0, false},
		{"heartbeat of an earlier claim", 4, time.Hour, 0, 0, false},
		{"token of somebody else", 5, 0, time.Hour, 0, true},
	} {
		db, q := rows(t)
		fill(t, t.Context(), db, func(exec func(text string, args ...any)) {
			at := readmodel.FormatTime(epoch)
			exec(addBoard, 1, "private", at)
			exec(`INSERT INTO users (id, username, display_name, kind, admin, active, created_at, updated_at) VALUES (7, 'bot', '', 'agent', 0, 1, ?1, ?1)`, at)
			exec(addTicket, 1, 1, 1, "a", false, at, 1, 0, 5, 7)
			if c.beat != 0 {
				exec(`INSERT INTO heartbeats VALUES (1, ?, ?, 0)`, c.fence, epoch.Add(c.beat).UnixMicro())
			}
			if c.used != 0 {
				user := 7
				if c.usedElsewhere {
					user = 8
				}
				exec(`INSERT INTO api_tokens (id, user_id, name, prefix, token_sha, role, boards, created_at, last_used_at)
					VALUES (1, ?1, '', '', zeroblob(32), '', '[]', ?2, ?3)`, user, at, readmodel.FormatTime(epoch.Add(c.used)))
			}
		})
		got, err := q.Agent(t.Context(), readmodel.Viewer{Admin: true}, "bot")
		if err != nil || got.LastSeen == nil || !got.LastSeen.Equal(epoch.Add(c.want)) {
			t.Errorf("%s: got %v, %v, want %s", c.name, got.LastSeen, err, epoch.Add(c.want))
		}
	}
}

func TestUsageIsSummed(t *testing.T) {
	t.Parallel()
	q := fleet(t)
	got, err := q.BoardUsage(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	sum := func(in, out, cost, reports int64) readmodel.Usage {
		return readmodel.Usage{InputTokens: in, OutputTokens: out, CostMicros: cost, Reports: reports}
	}
	want := readmodel.BoardUsage{
		Total: sum(16, 2, 112, 4),
		Agents: []readmodel.AgentUsage{
			{UserID: 1, Name: "ann", Usage: sum(0, 0, 100, 1)}, {UserID: 3, Name: "both", Usage: sum(15, 1, 11, 2)}, {UserID: 98, Usage: sum(1, 1, 1, 1)},
		},
		Tickets: []readmodel.TicketUsage{
			{TicketID: 3, Key: "B1-3", Usage: sum(0, 0, 100, 1)}, {TicketID: 1, Key: "B1-1", Usage: sum(15, 1, 11, 2)}, {TicketID: 99, Usage: sum(1, 1, 1, 1)},
		},
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("board (-want +got):\n%s", diff)
	}
	for ticket, want := range map[int64]readmodel.Usage{1: sum(15, 1, 11, 2), 2: sum(20, 2, 0, 1), 50: {}} {
		if got, err := q.TicketUsage(t.Context(), ticket); err != nil || got != want {
			t.Errorf("ticket %d: got %+v, %v, want %+v", ticket, got, err, want)
		}
	}
	none, err := q.BoardUsage(t.Context(), 3)
	if err != nil || none.Agents == nil || none.Tickets == nil || none.Total != (readmodel.Usage{}) {
		t.Errorf("nothing reported: got %+v, %v, want empty lists", none, err)
	}
}
