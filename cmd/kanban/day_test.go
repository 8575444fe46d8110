//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/client"
	"github.com/agent-kanban/agent-kanban/ops/demo"
	"github.com/agent-kanban/agent-kanban/ops/machine"
)

const (
	// An agent of the demo rests 1 to 4 seconds after each call, so that twenty of
	// them make 20 * 24 h / 2.5 s = 691,200 calls in a day.
	dayAgents = 20
	dayCalls  = dayAgents * 24 * 3600 * 10 / 25
	// dayPart is the part of them that a usual test makes.
	dayPart = 240
)

// day is a server under a fleet, with followers of its log.
type day struct {
	*drill
	world     *demo.World
	followers []*follower
}

// sample is what is left in use once nobody works.
type sample struct {
	heap, rss, wal    int64
	goroutines, files int
	events            int64
}

func (s sample) String() string {
	return fmt.Sprintf("%8d events, heap %4.1f MB, resident %4d MB, WAL %4.1f MB, %d goroutines, %d files",
		s.events, float64(s.heap)/(1<<20), s.rss>>20, float64(s.wal)/(1<<20), s.goroutines, s.files)
}

// A fleet's day in fast motion: every hour as many calls as twenty agents make
// in one, then a backup; maintenance four times; the log shipped; tails and
// sockets that follow and come back. Nothing may grow, nothing may be told, and
// the log verifies. It makes a part of the calls; with KANBAN_DAY=n the n-th part, 1
// is all of them (make day). It does not run beside others, whose goroutines it would see.
func TestDay(t *testing.T) {
	if raced() {
		t.Skip("its figures mean nothing with the race detector; make test runs it once more without")
	}
	part := dayPart
	if text := os.Getenv("KANBAN_DAY"); text != "" {
		var err error
		if part, err = strconv.Atoi(text); err != nil || part < 1 {
			t.Fatalf("KANBAN_DAY=%s: want which part of a day, 1 = all of it", text)
		}
	}
	hourly := dayCalls / part / 24
	d := newDay(t, min(1000, hourly/8))
	d.follow(int64(hourly))
	var samples []sample
	made, started := 0, time.Now()
	for hour := range 24 {
		for made < hourly*(hour+1) {
			if made > 0 {
				if err := d.world.Renew(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			s, err := demo.Fleet{World: d.world}.Run(t.Context())
			if err != nil || s.Open > 0 {
				t.Fatalf("hour %d: %d tickets are open, %v", hour, s.Open, err)
			}
			made += s.Calls
		}
		if _, err := d.s.backups.Run(t.Context()); err != nil {
			t.Fatalf("hour %d: backup: %v", hour, err)
		}
		if hour%6 == 3 {
			d.s.maintenance.Run(t.Context())
			if st := d.s.maintenance.Status(); st.Error != "" || st.Last == nil {
				t.Fatalf("hour %d: maintenance: %+v", hour, st)
			}
		}
		samples = append(samples, d.sample())
		t.Logf("%02d:00 %s", hour+1, samples[hour])
	}
	took := time.Since(started)
	for _, f := range d.followers {
		if f.connections.Load() < 12 {
			t.Errorf("%s connected %d times, want again each hour or two", f.name, f.connections.Load())
		}
	}
	t.Logf("%d calls in %s, %.0f a second", made, took.Round(time.Second), float64(made)/took.Seconds())
	d.flat(samples)
	if active, past := d.s.alerts(); len(active)+len(past) > 0 {
		t.Errorf("alerts: %+v, past %+v; want none", active, past)
	}
	d.leave()
	d.verify()
}

func newDay(t *testing.T, tickets int) *day {
	t.Helper()
	dir := t.TempDir()
	s, err := (&app{stderr: t.Output()}).demoServer(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	// At this speed five seconds are half an hour; what has not caught up by the next
	// look is told. The process holds the fleet and the followers, too.
	s.cfg.Synchronous, s.cfg.MonitorSeconds, s.cfg.MemoryMB = "FULL", 5, 512
	s.cfg.BackupSchedule, s.cfg.BackupShipTo = "@hourly", filepath.Join(dir, "shipped")
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	d := &day{drill: &drill{t: t, dir: dir, s: s}}
	t.Cleanup(d.stop)
	_, setup, _ := strings.Cut(s.setup, "#token=")
	d.world, err = demo.Prepare(t.Context(), demo.Config{URL: s.URL(), SetupToken: setup, Seed: 1, Agents: dayAgents, Tickets: tickets})
	t.Cleanup(d.world.Close)
	if err != nil {
		t.Fatal(err)
	}
	d.token = d.world.Token
	return d
}

// flat wants what the last quarter of the day used to be what the second one
// did: the first is for caches to fill.
func (d *day) flat(samples []sample) {
	d.t.Helper()
	for name, row := range map[string]struct {
		of    func(s sample) int64
		slack int64 // besides a quarter
	}{
		// JetStream keeps blocks that it wrote within seconds in buffers of 8 MiB: a
		// profile shows that two samples differ by two of those and nothing else. So the
		// least of a quarter is compared.
		"heap":     {func(s sample) int64 { return s.heap }, 4 << 20},
		"resident": {func(s sample) int64 { return s.rss }, 32 << 20},
		"files":    {func(s sample) int64 { return int64(s.files) }, 4},
	} {
		second, last := least(samples[6:12], row.of), least(samples[18:], row.of)
		if last > second*5/4+row.slack {
			d.t.Errorf("%s: %d in the last quarter of the day, %d in the second: it grows", name, last, second)
		}
	}
	for hour, s := range samples {
		if s.wal > walLimit {
			d.t.Errorf("hour %d: the WAL has %d bytes, more than %d", hour+1, s.wal, walLimit)
		}
		if grown := s.goroutines - samples[0].goroutines; grown > len(d.followers) {
			d.t.Errorf("hour %d: %d goroutines more than after the first hour", hour+1, grown)
		}
	}
}

func least(samples []sample, of func(s sample) int64) int64 {
	low := of(samples[0])
	for _, s := range samples {
		low = min(low, of(s))
	}
	return low
}

// sample measures once everybody has seen the last event and the connections of
// the agents are gone.
func (d *day) sample() sample {
	d.t.Helper()
	head, err := d.s.db.Head(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	d.await("the end of the log everywhere", func() bool {
		for _, f := range d.followers {
			if f.reached.Load() < head.Position {
				return false
			}
		}
		return d.s.watermark.Position() >= head.Position && d.s.relay.Status().Lag == 0
	})
	d.world.Close()
	http.DefaultClient.CloseIdleConnections()
	last, same := 0, 0
	d.await("a steady number of goroutines", func() bool {
		if n := runtime.NumGoroutine(); n != last {
			last, same = n, 0
		}
		same++
		return same == 10
	})
	debug.FreeOSMemory() // collects, too
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	d.profile(head.Position)
	memory, err := machine.ProcessMemory()
	if err != nil {
		d.t.Fatal(err)
	}
	wal, err := machine.FileSize(d.s.db.Path() + "-wal")
	if err != nil {
		d.t.Fatal(err)
	}
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		d.t.Fatal(err)
	}
	return sample{int64(m.HeapAlloc), memory.RSS, wal, last, len(files), head.Position}
}

// profile writes what the heap holds to the folder KANBAN_DAY_HEAP, where one is
// named, for go tool pprof.
func (d *day) profile(position int64) {
	d.t.Helper()
	dir := os.Getenv("KANBAN_DAY_HEAP")
	if dir == "" {
		return
	}
	file, err := os.Create(filepath.Join(dir, fmt.Sprintf("heap-%09d.pprof", position)))
	if err != nil {
		d.t.Fatal(err)
	}
	if err := errors.Join(pprof.WriteHeapProfile(file), file.Close()); err != nil {
		d.t.Fatal(err)
	}
}

// follower sees each event once, in order, over many connections.
type follower struct {
	name                 string
	reached, connections atomic.Int64
	leave                context.CancelFunc
}

// follow lets tails and sockets follow the log; each comes back after so many
// events.
func (d *day) follow(each int64) {
	d.t.Helper()
	head, err := d.s.db.Head(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, leave := context.WithCancel(d.t.Context())
	var all sync.WaitGroup
	d.t.Cleanup(func() { leave(); all.Wait() })
	for i := range 4 {
		for name, once := range map[string]func(ctx context.Context, f *follower, each int64) error{"tail": d.tail, "socket": d.board} {
			f := &follower{name: fmt.Sprintf("%s %d", name, i+1), leave: leave}
			f.reached.Store(head.Position)
			d.followers = append(d.followers, f)
			all.Go(func() {
				for ctx.Err() == nil {
					f.connections.Add(1)
					if err := once(ctx, f, each); err != nil && ctx.Err() == nil {
						d.t.Errorf("%s: %v", f.name, err)
						return
					}
				}
			})
		}
	}
}

// leave ends the followers.
func (d *day) leave() {
	for _, f := range d.followers {
		f.leave()
	}
}

// tail reads so many events as kanban tail does. An admin sees all.
func (d *day) tail(ctx context.Context, f *follower, each int64) error {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c, err := client.New(client.Config{URL: d.s.URL(), Token: d.world.Token, HTTP: &http.Client{Transport: transport}})
	if err != nil {
		return err
	}
	end := f.reached.Load() + each
	for e, err := range c.Follow(ctx, client.EventQuery{After: f.reached.Load()}, nil) {
		if err != nil {
			return err
		}
		if last := f.reached.Load(); e.Position != last+1 {
			return fmt.Errorf("position %d after %d", e.Position, last)
		}
		f.reached.Store(e.Position)
		if e.Position == end {
			return nil
		}
	}
	return nil
}

// board reads so many events of the board from a socket. All there is to read
// after the first of the world is about the board.
func (d *day) board(ctx context.Context, f *follower, each int64) error {
	ws, res, err := websocket.DefaultDialer.DialContext(ctx, "ws"+strings.TrimPrefix(d.s.URL(), "http")+"/ws/connect",
		http.Header{"Authorization": {"Bearer " + d.world.Token}})
	if err != nil {
		return err
	}
	res.Body.Close()
	defer ws.Close()
	defer context.AfterFunc(ctx, func() { ws.Close() })()
	if err := ws.WriteJSON(map[string]any{"type": "subscribe_board", "board_id": d.world.Board.ID, "since": f.reached.Load()}); err != nil {
		return err
	}
	end := f.reached.Load() + each
	for {
		_, text, err := ws.ReadMessage()
		var closed *websocket.CloseError
		if errors.As(err, &closed) && closed.Code == 4408 {
			return nil // too slow: it comes back at once
		}
		if err != nil {
			return err
		}
		for line := range strings.SplitSeq(string(text), "\n") {
			var frame struct {
				Event string
				Data  json.RawMessage
			}
			if err := json.Unmarshal([]byte(line), &frame); err != nil {
				return err
			}
			switch frame.Event {
			case "connected", "subscribed", "presence":
				continue
			case "alert", "alert_cleared": // the end of the test wants none
				d.t.Logf("%s: %s", frame.Event, frame.Data)
				continue
			case "resync", "error":
				return fmt.Errorf("%s: %s", frame.Event, frame.Data)
			}
			var e events.Envelope
			if err := json.Unmarshal(frame.Data, &e); err != nil {
				return err
			}
			if last := f.reached.Load(); e.Position != last+1 {
				return fmt.Errorf("position %d after %d", e.Position, last)
			}
			f.reached.Store(e.Position)
			if e.Position == end {
				return nil
			}
		}
	}
}
