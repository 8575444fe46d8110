package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
)

func TestClaimsAreRemembered(t *testing.T) {
	t.Parallel()
	s := &claims{t.TempDir() + "/kanban"}
	now := time.Date(2026, 8, 15, 12, 0, 0, 0, time.UTC)
	mine, other := who("http://a", "akb_secret"), who("http://a", "akb_other")
	add := func(c rememberedClaim) {
		t.Helper()
		if err := s.change(t.Context(), now, func(list []rememberedClaim) []rememberedClaim { return append(list, c) }); err != nil {
			t.Fatal(err)
		}
	}
	add(rememberedClaim{Who: mine, TicketID: 12, Key: "WEB-7", Fence: 120, ExpiresAt: now.Add(time.Minute)})
	add(rememberedClaim{Who: other, TicketID: 12, Key: "WEB-7", Fence: 99, ExpiresAt: now.Add(time.Minute)})
	add(rememberedClaim{Who: mine, TicketID: 1, Key: "OLD-1", Fence: 3, ExpiresAt: now.Add(-claimsKept)})
	for _, tc := range []struct {
		who    string
		ticket commands.Ref
		want   int64
	}{
		{mine, "WEB-7", 120},
		{mine, "web-7", 120},
		{mine, "12", 120},
		{other, "WEB-7", 99},
		{who("http://b", "akb_secret"), "WEB-7", 0},
		{mine, "WEB-8", 0},
		{mine, "OLD-1", 0},
	} {
		if got, err := s.fence(tc.who, tc.ticket); err != nil || got != tc.want {
			t.Errorf("fence of %s for %q = %d, %v; want %d", tc.ticket, tc.who, got, err, tc.want)
		}
	}
	text, err := os.ReadFile(s.path())
	if err != nil || strings.Contains(string(text), "secret") {
		t.Errorf("the file holds %s, %v; want no token", text, err)
	}
	if info, err := os.Stat(s.path()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v, %v; want 0600", info.Mode(), err)
	}
	if err := os.WriteFile(s.path(), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.fence(mine, "WEB-7"); err == nil || !strings.Contains(err.Error(), "remembered claims") {
		t.Errorf("a damaged file: %v, want an error that names it", err)
	}
}

// Agents on one machine share the file.
func TestClaimsOfManyAtOnce(t *testing.T) {
	t.Parallel()
	s := &claims{t.TempDir()}
	now := time.Now()
	var agents sync.WaitGroup
	for i := range int64(8) {
		agents.Go(func() {
			c := rememberedClaim{Who: who("http://a", fmt.Sprint(i)), TicketID: i + 1, Key: fmt.Sprintf("WEB-%d", i+1), Fence: i + 100, ExpiresAt: now.Add(time.Hour)}
			if err := s.change(t.Context(), now, func(list []rememberedClaim) []rememberedClaim { return append(list, c) }); err != nil {
				t.Error(err)
			}
		})
	}
	agents.Wait()
	if list, err := s.load(); err != nil || len(list) != 8 {
		t.Errorf("%d claims are remembered, %v; want 8", len(list), err)
	}
}
