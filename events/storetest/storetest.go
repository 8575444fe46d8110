package storetest

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// Reopener is a store that can be closed and opened again on the same log.
type Reopener interface {
	// Reopen closes the store and returns another one on what it stored.
	Reopen(t *testing.T) events.Store
}

// Open returns a new, empty store, and sees to it that it is closed at the end
// of the test.
type Open func(t *testing.T) events.Store

// Run runs the whole suite.
func Run(t *testing.T, open Open) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(t *testing.T, open Open)
	}{
		{"Empty", testEmpty},
		{"AppendAndRead", testAppendAndRead},
		{"AppendSeesItself", testAppendSeesItself},
		{"AppendNothing", testAppendNothing},
		{"Conflict", testConflict},
		{"ConflictLeavesTheTransactionUsable", testConflictThenContinue},
		{"BoardOnAnotherStream", testBoardOnAnotherStream},
		{"Rollback", testRollback},
		{"EndTwice", testEndTwice},
		{"Text", testText},
		{"LargeData", testLargeData},
		{"Redacted", testRedacted},
		{"Redaction", testRedaction},
		{"RedactionRefused", testRedactionRefused},
		{"LogID", testLogID},
		{"Reopen", testReopen},
		{"Ledger", testLedger},
		{"Snapshots", testSnapshots},
		{"Heartbeats", testHeartbeats},
		{"SQL", testSQL},
		{"Query", testQuery},
		{"QueryInTransaction", testQueryInTransaction},
		{"QueryPaging", testQueryPaging},
		{"QueryCancelled", testQueryCancelled},
		{"BeginSerialises", testBeginSerialises},
		{"BeginCancelled", testBeginCancelled},
		{"TransactionOutlivesItsContext", testTransactionOutlivesContext},
		{"ReadersSeeCommitted", testReadersSeeCommitted},
		{"StateMachine", testMachine},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, open)
		})
	}
}

// draft is an event that is not sealed yet.
type draft struct {
	envelope events.Envelope
	fact     events.Event
}

// epoch is when the histories of this package begin.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 678_901_000, time.UTC)

// history is a log in memory: what a store that was told the same must answer.
type history struct {
	log      []events.Envelope
	versions map[string]int64
}

func (h *history) head() events.Head {
	if len(h.log) == 0 {
		return events.Head{}
	}
	return h.log[len(h.log)-1].Head()
}

// seal appends drafts to the history, numbering each in its stream, and returns
// them sealed.
func (h *history) seal(tb fataler, drafts ...draft) []events.Envelope {
	tb.Helper()
	if h.versions == nil {
		h.versions = make(map[string]int64)
	}
	first := len(h.log)
	for _, d := range drafts {
		e := d.envelope
		h.versions[e.Stream]++
		e.Version = h.versions[e.Stream]
		n := int64(len(h.log)) + 1
		e.ID = fmt.Sprintf("01890000-0000-7000-8000-%012d", n)
		if e.RecordedAt.IsZero() {
			e.RecordedAt = epoch.Add(time.Duration(n) * time.Second)
		}
		sealed, err := events.Seal(h.head(), e, d.fact)
		if err != nil {
			tb.Fatalf("seal: %v", err)
		}
		h.log = append(h.log, sealed)
	}
	return h.log[first:]
}

// fataler is what *testing.T and *rapid.T share.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// comment is the plainest draft: the nth comment on a ticket of a board.
func comment(board, ticket, n int64) draft {
	return draft{
		envelope: events.Envelope{
			Stream: events.BoardStream(board), BoardID: board, TicketID: ticket,
			Actor:     events.Actor{Kind: events.Human, ID: 7, Name: "ada"},
			CommandID: fmt.Sprintf("command-%d-%d", board, n),
		},
		fact: events.CommentAdded{CommentID: n, Text: fmt.Sprintf("comment %d", n)},
	}
}

// mixed is a history with several streams, actors, types and tickets, in which
// some events are about no board, no ticket, or neither.
func mixed(n int) []draft {
	people := []events.Actor{
		{Kind: events.Human, ID: 7, Name: "ada"},
		{Kind: events.Agent, ID: 8, Name: "bot"},
		events.SystemActor,
	}
	drafts := make([]draft, 0, n)
	for i := range n {
		k := int64(i)
		board := 1 + k%3
		d := comment(board, 1+k%5, k)
		switch i % 7 {
		case 2:
			d.fact = events.TicketAssigned{Assignee: "bot"}
		case 3:
			d.envelope.TicketID = 0
			d.fact = events.MemberAdded{UserID: k, Name: "bot", Role: events.AgentRole}
		case 5:
			d.envelope.Stream, d.envelope.BoardID, d.envelope.TicketID = events.UserStream(1+k%2), 0, 0
			d.fact = events.UserDeactivated{UserID: 1 + k%2}
		case 6:
			d.fact = events.TicketArchived{}
		}
		d.envelope.Actor = people[i%len(people)]
		d.envelope.CommandID = fmt.Sprintf("command-%d", i/2)
		d.envelope.CorrelationID = []string{"", "work-1"}[i%2]
		d.envelope.CausationID = []string{"", "cause-1", "cause-2"}[i%3]
		drafts = append(drafts, d)
	}
	return drafts
}

// commit appends the batch in one transaction of its own.
func commit(t *testing.T, store events.Store, batch []events.Envelope) {
	t.Helper()
	tx, err := store.Begin(t.Context())
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := tx.Append(t.Context(), batch); err != nil {
		t.Fatalf("append: %v", err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatalf("commit: %v", err)
	}
}

// begin opens a transaction that is rolled back at the end of the test.
func begin(t *testing.T, store events.Store) events.Tx {
	t.Helper()
	tx, err := store.Begin(t.Context())
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	t.Cleanup(func() { _ = tx.Rollback() })
	return tx
}

// wantHead fails unless the store ends there.
func wantHead(t *testing.T, store events.Reader, want events.Head) {
	t.Helper()
	got, err := store.Head(t.Context())
	if err != nil || got != want {
		t.Fatalf("head: got %v (%v), want %v", got, err, want)
	}
}

// same fails unless both hold the same events, column by column.
func same(tb fataler, what string, got, want []events.Envelope) {
	tb.Helper()
	if len(got) != len(want) {
		tb.Fatalf("%s: got %d events %v, want %d %v", what, len(got), positions(got), len(want), positions(want))
	}
	for i := range got {
		g, w := &got[i], &want[i]
		if !bytes.Equal(g.JSON(), w.JSON()) || g.DataSHA != w.DataSHA || g.Redacted() != w.Redacted() {
			tb.Fatalf("%s: event %d:\n got %s %s\nwant %s %s", what, i, g.JSON(), g.DataSHA, w.JSON(), w.DataSHA)
		}
		if g.RecordedAt.Location() != time.UTC {
			tb.Fatalf("%s: event %d: recorded at %v, want UTC", what, i, g.RecordedAt)
		}
	}
}

func positions(log []events.Envelope) []int64 {
	list := make([]int64, 0, min(len(log), 20))
	for i := range log[:min(len(log), 20)] {
		list = append(list, log[i].Position)
	}
	return list
}
