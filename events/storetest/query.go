package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// answer is what a store that holds log must return for q.
func answer(log []events.Envelope, q events.Query) []events.Envelope {
	limit := q.Limit
	if limit == 0 {
		limit = events.DefaultLimit
	}
	var page []events.Envelope
	for i := range log {
		if q.Descending {
			i = len(log) - 1 - i
		}
		if matches(&log[i], q) && len(page) < limit {
			page = append(page, log[i])
		}
	}
	return page
}

func matches(e *events.Envelope, q events.Query) bool {
	switch {
	case e.Position <= q.After,
		q.UpTo != 0 && e.Position > q.UpTo,
		!q.Until.IsZero() && e.RecordedAt.After(q.Until),
		q.Stream != "" && e.Stream != q.Stream,
		e.Version <= q.AfterVersion,
		q.BoardID != 0 && e.BoardID != q.BoardID,
		q.TicketID != 0 && e.TicketID != q.TicketID,
		len(q.Types) > 0 && !slices.Contains(q.Types, e.Type),
		q.Actor != "" && e.Actor.Name != q.Actor,
		q.CommandID != "" && e.CommandID != q.CommandID:
		return false
	}
	return true
}

// queries covers every filter alone, and every pair of them, in both directions.
func queries() []events.Query {
	filters := []func(*events.Query){
		func(q *events.Query) { q.After = 20 },
		func(q *events.Query) { q.After = 1_000_000 },
		func(q *events.Query) { q.UpTo = 40 },
		func(q *events.Query) { q.UpTo = 1 },
		func(q *events.Query) { q.Until = epoch.Add(30 * time.Second) },
		func(q *events.Query) { q.Until = epoch },
		func(q *events.Query) { q.Stream = events.BoardStream(2) },
		func(q *events.Query) { q.Stream, q.AfterVersion = events.BoardStream(2), 7 },
		func(q *events.Query) { q.Stream = events.UserStream(1) },
		func(q *events.Query) { q.Stream = "board-" },
		func(q *events.Query) { q.BoardID = 1 },
		func(q *events.Query) { q.BoardID = 99 },
		func(q *events.Query) { q.TicketID = 3 },
		func(q *events.Query) { q.TicketID = 99 },
		func(q *events.Query) { q.Types = []events.Type{events.TypeTicketArchived} },
		func(q *events.Query) {
			q.Types = []events.Type{events.TypeTicketAssigned, events.TypeMemberAdded, "unknown", `quo"te`}
		},
		func(q *events.Query) { q.Actor = "bot" },
		func(q *events.Query) { q.Actor = "BOT" },
		func(q *events.Query) { q.CommandID = "command-4" },
		func(q *events.Query) { q.Limit = 1 },
		func(q *events.Query) { q.Limit = 7 },
	}
	list := []events.Query{{}}
	for i, a := range filters {
		var q events.Query
		a(&q)
		list = append(list, q)
		for _, b := range filters[i+1:] {
			q := q
			b(&q)
			if q.Stream == "" {
				q.AfterVersion = 0
			}
			list = append(list, q)
		}
	}
	for _, q := range slices.Clone(list) {
		q.Descending = true
		list = append(list, q)
	}
	return list
}

func testQuery(t *testing.T, open Open) {
	store := open(t)
	var h history
	commit(t, store, h.seal(t, mixed(100)...))
	for _, q := range queries() {
		got, err := store.Read(t.Context(), q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		same(t, fmt.Sprintf("%+v", q), got, answer(h.log, q))
	}
	if _, err := store.Read(t.Context(), events.Query{AfterVersion: 3}); err == nil {
		t.Error("after a version of no stream: got no error")
	}
}

func testQueryInTransaction(t *testing.T, open Open) {
	store := open(t)
	var h history
	commit(t, store, h.seal(t, mixed(60)...))
	tx := begin(t, store)
	if err := tx.Append(t.Context(), h.seal(t, mixed(40)...)); err != nil {
		t.Fatal(err)
	}
	for _, q := range queries() {
		got, err := tx.Read(t.Context(), q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		same(t, fmt.Sprintf("%+v", q), got, answer(h.log, q))
	}
}

func testQueryPaging(t *testing.T, open Open) {
	store := open(t)
	var h history
	commit(t, store, h.seal(t, mixed(events.DefaultLimit+5)...))
	page, err := store.Read(t.Context(), events.Query{})
	if err != nil || len(page) != events.DefaultLimit {
		t.Fatalf("a page: got %d events (%v), want %d", len(page), err, events.DefaultLimit)
	}
	for _, q := range []events.Query{
		{},
		{Limit: 1, UpTo: 20},
		{Limit: 64},
		{Limit: 10, Stream: events.BoardStream(1)},
		{Limit: 10, Stream: events.BoardStream(1), AfterVersion: 5, UpTo: 500},
		{Limit: 10, BoardID: 2},
		{Limit: 10, BoardID: 2, After: 333},
		{Limit: 10, TicketID: 4},
		{Limit: 10, Types: []events.Type{events.TypeMemberAdded}},
		{Limit: 10, Actor: "ada", Until: epoch.Add(10 * time.Minute)},
		{Descending: true},
		{Limit: 1, UpTo: 20, Descending: true},
		{Limit: 64, After: 100, Descending: true},
		{Limit: 10, Stream: events.BoardStream(1), Descending: true},
		{Limit: 1, Stream: events.BoardStream(1), AfterVersion: 5, UpTo: 500, Descending: true},
		{Limit: 10, BoardID: 2, After: 333, Descending: true},
		{Limit: 10, TicketID: 4, Descending: true},
		{Limit: 10, BoardID: 1, Types: []events.Type{events.TypeMemberAdded}, Descending: true},
		{Limit: 10, Actor: "ada", Until: epoch.Add(10 * time.Minute), Descending: true},
	} {
		var got []events.Envelope
		for e, err := range events.All(t.Context(), store, q) {
			if err != nil {
				t.Fatalf("%+v: %v", q, err)
			}
			got = append(got, *e)
		}
		q.Limit = len(h.log)
		same(t, fmt.Sprintf("all of %+v", q), got, answer(h.log, q))
	}
}

func testQueryCancelled(t *testing.T, open Open) {
	store := open(t)
	var h history
	commit(t, store, h.seal(t, mixed(10)...))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := store.Read(ctx, events.Query{}); !errors.Is(err, context.Canceled) {
		t.Errorf("read: got %v, want context.Canceled", err)
	}
	wantHead(t, store, h.head())
}
