package events

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

func TestStreams(t *testing.T) {
	t.Parallel()
	for stream, want := range map[string]int64{
		BoardStream(12): 12, UserStream(3): 3, SystemStream: 0, "": 0, "board-": 0, "board-x": 0, "board-9223372036854775807": 1<<63 - 1,
	} {
		if got := StreamID(stream); got != want {
			t.Errorf("%q: got %d, want %d", stream, got, want)
		}
	}
}

func TestCodeOf(t *testing.T) {
	t.Parallel()
	told := Errorf(CodeWIPLimit, "column %q is full", "Done")
	if told.Error() != `column "Done" is full` {
		t.Errorf("message: got %q", told.Error())
	}
	for _, test := range []struct {
		err  error
		want Code
	}{
		{nil, ""},
		{told, CodeWIPLimit},
		{fmt.Errorf("decide: %w", told), CodeWIPLimit},
		{errors.Join(errors.New("x"), told), CodeWIPLimit},
		{errors.New("x"), CodeInternal},
		{ErrConflict, CodeInternal},
	} {
		if got := CodeOf(test.err); got != test.want {
			t.Errorf("%v: got %q, want %q", test.err, got, test.want)
		}
	}
}

// pages answers queries from a list, or fails after some of them.
type pages struct {
	log  []Envelope
	fail int
	asks []Query
}

var errPages = errors.New("pages")

func (p *pages) Read(_ context.Context, q Query) ([]Envelope, error) {
	p.asks = append(p.asks, q)
	if p.fail > 0 && len(p.asks) >= p.fail {
		return nil, errPages
	}
	from := min(int(q.After), len(p.log))
	return p.log[from:min(from+q.Limit, len(p.log))], nil
}

func TestAll(t *testing.T) {
	t.Parallel()
	log := make([]Envelope, 7)
	for i := range log {
		log[i] = Envelope{Position: int64(i) + 1, Version: int64(i) + 1, Stream: "s"}
	}
	for name, test := range map[string]struct {
		pages        pages
		limit, stop  int
		events, asks int
		err          error
	}{
		"everything":      {pages{log: log}, 3, 0, 7, 4, nil},
		"full last page":  {pages{log: log[:6]}, 3, 0, 6, 3, nil},
		"nothing":         {pages{}, 3, 0, 0, 1, nil},
		"stopped early":   {pages{log: log}, 3, 2, 2, 1, nil},
		"fails at once":   {pages{log: log, fail: 1}, 3, 0, 0, 1, errPages},
		"fails later":     {pages{log: log, fail: 2}, 3, 0, 3, 2, errPages},
		"one at a time":   {pages{log: log}, 1, 0, 7, 8, nil},
		"all in one page": {pages{log: log}, 50, 0, 7, 2, nil},
	} {
		var got int
		var failed error
		for e, err := range All(t.Context(), &test.pages, Query{Stream: "s", Limit: test.limit}) {
			if err != nil {
				failed = err
				continue // the iteration must end by itself
			}
			if got++; e.Position != int64(got) {
				t.Errorf("%s: event %d has position %d", name, got, e.Position)
			}
			if got == test.stop {
				break
			}
		}
		if got != test.events || len(test.pages.asks) != test.asks || !errors.Is(failed, test.err) {
			t.Errorf("%s: got %d events, %d pages, %v; want %d, %d, %v", name, got, len(test.pages.asks), failed, test.events, test.asks, test.err)
		}
		for _, q := range test.pages.asks[1:] {
			if q.After == 0 || q.AfterVersion != q.After {
				t.Errorf("%s: a later page was asked for as %+v", name, q)
			}
		}
	}
}
