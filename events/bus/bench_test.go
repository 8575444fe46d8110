package bus

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkRelay copies events in batches of the size that commits have under
// load, and waits for all acknowledgements. One op is one event. "alone" has no
// consumer; "listening" is how a process runs.
func BenchmarkRelay(b *testing.B) {
	for _, size := range []int{1, 16, 64} {
		for _, listening := range []bool{false, true} {
			name := fmt.Sprintf("batch=%d/alone", size)
			if listening {
				name = fmt.Sprintf("batch=%d/listening", size)
			}
			b.Run(name, func(b *testing.B) { benchmarkRelay(b, size, listening) })
		}
	}
}

func benchmarkRelay(b *testing.B, size int, listening bool) {
	r, stop := newBenchRig(b, listening)
	defer stop()
	r.log.rows = newLog(b.N).rows
	rows := r.log.rows
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu(b)
	for len(rows) > 0 {
		n := min(size, len(rows))
		r.tail.Publish(rows[:n])
		rows = rows[n:]
		// As much ahead as commands can be.
		for r.tail.Head()-r.relay.Status().Position > 4096 {
			pause()
		}
	}
	for r.relay.Status().Position < int64(b.N) {
		pause()
	}
	b.StopTimer()
	b.ReportMetric(float64(cpu(b)-before)/float64(b.N)*1000, "cpu-ns/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkTail hands over batches of 64 to a number of subscriptions. One op is
// one event.
func BenchmarkTail(b *testing.B) {
	for _, subs := range []int{1, 200} {
		b.Run(fmt.Sprintf("subscriptions=%d", subs), func(b *testing.B) {
			log := newLog(64 * 64)
			// The window holds everything: rows that are renumbered are in no table.
			tail, err := NewTail(TailConfig{Log: log, MaxEvents: b.N + chunkSize, MaxBytes: 1 << 40})
			if err != nil {
				b.Fatal(err)
			}
			done := make(chan error, subs)
			for range subs {
				sub := tail.Subscribe(0)
				go func() {
					for sub.Position() < int64(b.N) {
						if _, err := sub.Next(b.Context()); err != nil {
							done <- err
							return
						}
					}
					done <- nil
				}()
			}
			rows := log.rows
			b.ReportAllocs()
			b.ResetTimer()
			for position := 0; position < b.N; {
				batch := rows[position%len(rows):][:min(64, b.N-position)]
				renumbered := append(rows[:0:0], batch...)
				for i := range renumbered {
					position++
					renumbered[i].Position = int64(position)
				}
				tail.Publish(renumbered)
			}
			for range subs {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// pause lets others run for a moment.
func pause() { <-time.After(200 * time.Microsecond) }

func newBenchRig(b *testing.B, listening bool) (*rig, func()) {
	b.Helper()
	r := &rig{t: b, dir: b.TempDir(), log: newLog(0)}
	r.boot()
	tailConfig := TailConfig{Log: r.log}
	if listening {
		tailConfig.Conn = r.conn
	}
	tail, err := NewTail(tailConfig)
	if err != nil {
		b.Fatal(err)
	}
	relay, err := NewRelay(RelayConfig{Log: r.log, Tail: tail, Conn: r.conn, RecoveredDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	if err := tail.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	if err := relay.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	r.tail, r.relay = tail, relay
	return r, r.halt
}

// BenchmarkScrub reads through a stream of b.N messages.
func BenchmarkScrub(b *testing.B) {
	r, stop := newBenchRig(b, false)
	defer stop()
	r.log.rows = newLog(b.N).rows
	r.tail.Publish(r.log.rows)
	for r.relay.Status().Position < int64(b.N) {
		pause()
	}
	b.ReportAllocs()
	b.ResetTimer()
	intact, err := r.relay.intact(b.Context(), int64(b.N))
	if err != nil || !intact {
		b.Fatalf("got %v (%v), want it intact", intact, err)
	}
}
