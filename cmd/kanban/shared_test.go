package main

import (
	"net"
	"slices"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/agent-kanban/agent-kanban/http/client"
)

// A Redis that is away is named in /health and stops nothing.
func TestServerGoesOnWithoutRedis(t *testing.T) {
	t.Parallel()
	mini := miniredis.RunT(t)
	gone, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	for name, tc := range map[string]struct {
		addr     string
		degraded bool
	}{"there": {mini.Addr(), false}, "away": {gone.Addr().String(), true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTestServer(t, t.TempDir())
			s.cfg.RedisURL = "redis://:a-password@" + tc.addr + "/0"
			if !tc.degraded {
				s.cfg.RedisURL = "redis://" + tc.addr + "/0"
			}
			if err := s.start(t.Context()); err != nil {
				t.Fatalf("start: %v", err)
			}
			t.Cleanup(func() {
				if err := s.stopInTime(); err != nil {
					t.Error(err)
				}
			})
			c, err := client.New(client.Config{URL: s.URL()})
			if err != nil {
				t.Fatal(err)
			}
			h, err := c.Health(t.Context())
			if err != nil || h.Status != "healthy" || slices.Contains(h.Degraded, "redis") != tc.degraded {
				t.Errorf("health is %+v, %v", h, err)
			}
		})
	}
}
