package rank

import (
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestBetweenKeepsOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ranks := []string{First}
		for range rapid.IntRange(1, 300).Draw(t, "inserts") {
			at := rapid.IntRange(0, len(ranks)).Draw(t, "at")
			var low, high string
			if at > 0 {
				low = ranks[at-1]
			}
			if at < len(ranks) {
				high = ranks[at]
			}
			got := Between(low, high)
			if low != "" && got <= low || high != "" && got >= high {
				t.Fatalf("Between(%q, %q) = %q, want it in between", low, high, got)
			}
			ranks = slices.Insert(ranks, at, got)
		}
	})
}

func TestRanksStayShort(t *testing.T) {
	t.Parallel()
	last, first := First, First
	for range 1_000_000 {
		last, first = Between(last, ""), Between("", first)
	}
	if len(last) > 5 || len(first) > 5 {
		t.Errorf("a million at either end: %q, %q, want at most 5 characters", first, last)
	}
	low, high := First, Between(First, "")
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		if m := Between(low, high); r.IntN(2) == 0 {
			low = m
		} else {
			high = m
		}
	}
	if len(low) > 400 {
		t.Errorf("a thousand bisections: %d characters, want at most 400", len(low))
	}
}
