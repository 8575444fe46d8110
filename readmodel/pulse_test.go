package readmodel

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestPulseCountsLikeOneWhoLooksAtAll compares with a count of every event, over
// lives that are even, in clumps, of one event, and of one instant.
func TestPulseCountsLikeOneWhoLooksAtAll(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	start := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC).UnixMicro()
	year := (365 * 24 * time.Hour).Microseconds()
	for round := range 400 {
		log := make([]moment, 1+rng.IntN(300))
		for i := range log {
			at := start
			switch round % 4 {
			case 0:
				at += rng.Int64N(20 * year)
			case 1: // clumps
				at += rng.Int64N(3)*year + rng.Int64N(1000)
			case 2:
				at += rng.Int64N(30)
			}
			log[i].micros = at
		}
		slices.SortFunc(log, func(a, b moment) int { return int(min(max(a.micros-b.micros, -1), 1)) })
		for i := range log {
			log[i].position = int64(3*i + 7)
		}
		n := MinPulse + rng.IntN(MaxPulse-MinPulse)
		looks := 0
		p := Pulse{Total: int64(len(log))}
		err := p.spread(int64(n), func(version int64) (moment, error) {
			looks++
			return log[version-1], nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if looks > len(log)+2 {
			t.Errorf("%d events were looked up %d times", len(log), looks)
		}
		if p.First != log[0].view() || p.Last != log[len(log)-1].view() || !p.Buckets[0].At.Equal(p.First.At) || len(p.Buckets) > n {
			t.Fatalf("pulse is %+v", p)
		}
		if len(p.Buckets) < n && p.Last.At.Sub(p.First.At).Microseconds()+1 != int64(len(p.Buckets)) {
			t.Errorf("%d buckets of %d for %v", len(p.Buckets), n, p.Last.At.Sub(p.First.At))
		}
		for i, b := range p.Buckets {
			want := PulseBucket{At: b.At}
			for _, m := range log {
				at := time.UnixMicro(m.micros)
				if i+1 < len(p.Buckets) && !at.Before(p.Buckets[i+1].At) {
					continue
				}
				want.Position = m.position
				if !at.Before(b.At) {
					want.Count++
				}
			}
			if b != want {
				t.Fatalf("round %d: bucket %d is %+v, want %+v", round, i, b, want)
			}
			if i > 0 {
				// Equal in time, to the microsecond.
				width := p.Last.At.Sub(p.First.At) / time.Duration(len(p.Buckets))
				if d := b.At.Sub(p.Buckets[i-1].At) - width; d.Abs() > 2*time.Microsecond {
					t.Fatalf("bucket %d is %v longer than the others", i-1, d)
				}
			}
		}
	}
}

// TestPulseLooksAtFew: a long log costs no more than its buckets.
func TestPulseLooksAtFew(t *testing.T) {
	t.Parallel()
	looks := 0
	p := Pulse{Total: 1_000_000}
	if err := p.spread(200, func(version int64) (moment, error) {
		looks++
		return moment{version, version * 1000}, nil
	}); err != nil {
		t.Fatal(err)
	}
	if looks > 4000 {
		t.Errorf("a million events in 200 buckets took %d looks", looks)
	}
}
