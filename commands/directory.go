package commands

import (
	"maps"
	"strings"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// directory is the decision state that spans boards: the next free ids, the
// taken keys and names, and the users. It follows every event of the log.
type directory struct {
	NextBoard   int64 `json:"next_board"`
	NextTicket  int64 `json:"next_ticket"`
	NextComment int64 `json:"next_comment"`
	NextUser    int64 `json:"next_user"`
	NextToken   int64 `json:"next_token"`
	NextWebhook int64 `json:"next_webhook"`

	Keys  map[string]int64 `json:"keys"`  // board key to id, also of deleted boards
	Names map[string]int64 `json:"names"` // lower-case user name to id
	Users map[int64]*user  `json:"users"`

	Webhooks map[int64]webhook `json:"webhooks"`

	// Leases are the claims in force, by ticket.
	Leases map[int64]leased `json:"leases"`

	SystemVersion int64     `json:"system_version"`
	SystemAt      time.Time `json:"system_at"`
}

type user struct {
	Name    string           `json:"name"`
	Display string           `json:"display"`
	Kind    events.ActorKind `json:"kind"`
	Admin   bool             `json:"admin"`
	Active  bool             `json:"active"`
	Paused  bool             `json:"paused,omitempty"`
	Version int64            `json:"version"` // of the stream
	LastAt  time.Time        `json:"last_at"`
	Tokens  map[int64]token  `json:"tokens"` // not revoked
}

// leased is a claim as the Sequencer needs it to end it in time.
type leased struct {
	Board   int64     `json:"board"`
	Fence   int64     `json:"fence"`
	Seconds int64     `json:"seconds"`
	Expires time.Time `json:"expires"` // by the event alone
}

type token struct {
	Boards []int64 `json:"boards"`
}

func newDirectory() *directory {
	return &directory{
		NextBoard: 1, NextTicket: 1, NextComment: 1, NextUser: 1, NextToken: 1, NextWebhook: 1,
		Keys: map[string]int64{}, Names: map[string]int64{}, Users: map[int64]*user{},
		Webhooks: map[int64]webhook{}, Leases: map[int64]leased{},
	}
}

// board returns the id of the board with a key, 0 if there is none.
func (d *directory) board(key Ref) int64 { return d.Keys[strings.ToUpper(string(key))] }

func (d *directory) userNamed(name string) (int64, *user) {
	id := d.Names[strings.ToLower(name)]
	return id, d.Users[id]
}

// find returns the user that ref names, nil if there is none.
func (d *directory) find(ref Ref) (int64, *user) {
	if u := d.Users[ref.ID()]; u != nil {
		return ref.ID(), u
	}
	return d.userNamed(string(ref))
}

// freeKey makes a board key from a name: the initials of its words, or the
// first letters of its only word, with a number where that is taken.
func (d *directory) freeKey(name string) string {
	words := strings.FieldsFunc(strings.ToUpper(name), func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	})
	base := ""
	for _, w := range words {
		if len(words) == 1 {
			base = w[:min(4, len(w))]
		} else if len(base) < 4 {
			base += w[:1]
		}
	}
	base = strings.TrimLeft(base, "0123456789")
	if len(base) < 2 {
		base = "BOARD"
	}
	key := base
	for n := 2; d.Keys[key] != 0; n++ {
		key = base + itoa(n)
	}
	return key
}

// evolve follows one event of the log.
func (d *directory) evolve(e *events.Envelope, fact events.Event) {
	// By the envelope, which stays: an id is not given out again after its first
	// event was redacted.
	d.NextBoard = max(d.NextBoard, e.BoardID+1)
	d.NextTicket = max(d.NextTicket, e.TicketID+1)
	switch f := fact.(type) {
	case events.BoardCreated:
		d.Keys[f.Key] = e.BoardID
	case events.CommentAdded:
		d.NextComment = max(d.NextComment, f.CommentID+1)
	case events.UserRegistered:
		d.Users[f.UserID] = &user{
			Name: f.Name, Display: f.DisplayName, Kind: f.Kind, Admin: f.Admin, Active: true,
			Tokens: map[int64]token{},
		}
		d.Names[strings.ToLower(f.Name)] = f.UserID
	case events.UserUpdated:
		if u := d.Users[f.UserID]; u != nil {
			set(&u.Display, f.DisplayName)
			set(&u.Admin, f.Admin)
		}
	case events.UserDeactivated:
		if u := d.Users[f.UserID]; u != nil {
			u.Active, u.Tokens = false, map[int64]token{}
		}
	case events.AgentPaused:
		if u := d.Users[f.UserID]; u != nil {
			u.Paused = true
		}
	case events.AgentResumed:
		if u := d.Users[f.UserID]; u != nil {
			u.Paused = false
		}
	case events.TicketClaimed:
		d.Leases[e.TicketID] = leased{Board: e.BoardID, Fence: e.Position, Seconds: f.LeaseSeconds, Expires: f.ExpiresAt}
	case events.TicketReleased, events.LeaseExpired, events.TicketDeleted:
		delete(d.Leases, e.TicketID)
	case events.WebhookAdded, events.WebhookUpdated, events.WebhookRemoved:
		d.evolveWebhook(e.BoardID, fact)
	case events.BoardDeleted:
		d.evolveWebhook(e.BoardID, fact)
		maps.DeleteFunc(d.Leases, func(_ int64, l leased) bool { return l.Board == e.BoardID })
	case events.TokenIssued:
		d.NextToken = max(d.NextToken, f.TokenID+1)
		if u := d.Users[f.UserID]; u != nil {
			u.Tokens[f.TokenID] = token{Boards: f.Boards}
		}
	case events.TokenRevoked:
		if u := d.Users[f.UserID]; u != nil {
			delete(u.Tokens, f.TokenID)
		}
	default: // everything else is of one board only
	}
	switch kind, _, _ := strings.Cut(e.Stream, "-"); kind {
	case "user":
		d.NextUser = max(d.NextUser, events.StreamID(e.Stream)+1)
		if u := d.Users[events.StreamID(e.Stream)]; u != nil {
			u.Version, u.LastAt = e.Version, e.RecordedAt
		}
	case events.SystemStream:
		d.SystemVersion, d.SystemAt = e.Version, e.RecordedAt
	}
}
