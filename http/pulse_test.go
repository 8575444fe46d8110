package http

import (
	"fmt"
	"testing"

	"github.com/agent-kanban/agent-kanban/readmodel"
)

// TestPulse compares the buckets with the log, and walks the board to the end of
// each.
func TestPulse(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board("bob")
	ann, bob := a.user("ann", false), a.user("bob", false)
	for i := range 20 {
		a.ticket(ann, id, fmt.Sprint("T", i))
	}
	var log eventPage
	a.do("GET", "/api/events?board=WEB&limit=1000", ann, "").want(200).json(&log)
	first, last := log.Items[0], log.Items[len(log.Items)-1]
	for _, buckets := range []int{10, 200, 500} {
		var p readmodel.Pulse
		r := a.do("GET", fmt.Sprintf("/api/boards/WEB/pulse?buckets=%d", buckets), bob, "").want(200)
		r.json(&p)
		if p.BoardID != id || p.Total != int64(len(log.Items)) || p.First.Position != first.Position || !p.First.At.Equal(first.RecordedAt) ||
			p.Last.Position != last.Position || !p.Last.At.Equal(last.RecordedAt) || len(p.Buckets) != buckets {
			t.Fatalf("%d buckets: %s", buckets, r.body)
		}
		sum := int64(0)
		for i, b := range p.Buckets {
			want := readmodel.PulseBucket{At: b.At}
			for _, e := range log.Items {
				if i+1 < len(p.Buckets) && !e.RecordedAt.Before(p.Buckets[i+1].At) {
					break
				}
				want.Position = e.Position
				if !e.RecordedAt.Before(b.At) {
					want.Count++
				}
			}
			if b != want {
				t.Errorf("%d buckets: the one at %v is %+v, want %+v", buckets, b.At, b, want)
			}
			sum += b.Count
		}
		if sum != p.Total {
			t.Errorf("%d buckets: they count %d of %d events", buckets, sum, p.Total)
		}
		tag := r.header.Get("ETag")
		a.do("GET", fmt.Sprintf("/api/boards/1/pulse?buckets=%d", buckets), bob, "", "If-None-Match: "+tag).want(304)
	}
	// The default, and that a kept one ends with the board's next event.
	var before, after readmodel.Pulse
	a.do("GET", "/api/boards/WEB/pulse", ann, "").want(200).json(&before)
	a.do("POST", "/api/tickets/1/move", ann, `{"column":"Done"}`).want(200)
	a.do("GET", "/api/boards/WEB/pulse", ann, "").want(200).json(&after)
	if len(before.Buckets) != 200 || after.Total != before.Total+1 || after.Last.Position != before.Last.Position+1 {
		t.Errorf("before the move it was %+v, after it %+v", before.Last, after.Last)
	}
	a.run(t, []scenario{
		{name: "too few", method: "GET", url: "/api/boards/WEB/pulse?buckets=9", user: "ann", status: 400, has: []string{"buckets"}},
		{name: "too many", method: "GET", url: "/api/boards/WEB/pulse?buckets=501", user: "ann", status: 400, has: []string{"buckets"}},
		{name: "no board", method: "GET", url: "/api/boards/NONE/pulse", user: "ann", status: 404},
	})
	a.do("DELETE", "/api/boards/WEB/members/bob", ann, "").want(204)
	a.do("GET", "/api/boards/WEB/pulse", bob, "").want(404)
}
