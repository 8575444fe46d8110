package bus

import (
	"bufio"
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agent-kanban/agent-kanban/events"
)

// recovered reads the one file that was saved.
func (r *rig) recovered(name string) []events.Envelope {
	r.t.Helper()
	want := filepath.Join(r.dir, "recovered", name)
	if got := r.relay.Status().Recovered; len(got) != 1 || got[0] != want {
		r.t.Fatalf("recovered: got %v, want %s", got, want)
	}
	file, err := os.Open(want)
	if err != nil {
		r.t.Fatal(err)
	}
	defer file.Close()
	var out []events.Envelope
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var e events.Envelope
		if err := e.UnmarshalJSON(lines.Bytes()); err != nil {
			r.t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func logTo(buf *bytes.Buffer) func(*RelayConfig) {
	return func(c *RelayConfig) { c.Logger = slog.New(slog.NewTextHandler(buf, nil)) }
}

func TestStreamAheadOfTheLog(t *testing.T) {
	t.Parallel()
	r := newRig(t, newLog(300))
	r.run()
	r.quit()
	lost := append([]events.Envelope(nil), r.log.rows[250:]...)
	r.log.cut(250)
	head := r.log.head()

	var log bytes.Buffer
	r.run(logTo(&log))
	s := r.relay.Status()
	if s.LastRebuild != reasonAhead || s.Rebuilds != 1 {
		t.Errorf("status: got %+v, want one rebuild because %q", s, reasonAhead)
	}
	r.verify(1)
	saved := r.recovered("events-251-300.jsonl")
	if len(saved) != len(lost) {
		t.Fatalf("saved: got %d events, want %d", len(saved), len(lost))
	}
	for i := range saved {
		if saved[i].Hash != lost[i].Hash {
			t.Errorf("saved %d: got %s, want %s", i, saved[i].Hash, lost[i].Hash)
		}
		if err := events.Check(head, &saved[i]); err != nil {
			t.Errorf("saved %d: %v", i, err)
		}
		head = saved[i].Head()
	}
	r.commit(5)
	r.level()
	r.verify(1)
	r.quit()
	if !strings.Contains(log.String(), "continues_log=true") {
		t.Errorf("log: got %s, want it to say that the events continue the log", &log)
	}

	// Somebody has to look at the file: the next start tells of it again.
	r.run()
	if got := r.relay.Status().Recovered; len(got) != 1 {
		t.Errorf("after another start: got %v, want the file still", got)
	}
}

func TestStreamWithAnotherHistory(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		more  int // events of the other history, 50 make it as long
		file  string
		saved int
	}{
		"same length": {50, "events-251-300.jsonl", 50},
		"log shorter": {20, "events-251-300.jsonl", 50},
		"log longer":  {90, "events-251-300.jsonl", 50},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, newLog(300))
			r.run()
			r.quit()
			lost := append([]events.Envelope(nil), r.log.rows[250:]...)
			r.log.cut(250)
			r.log.growAs(test.more, "again")

			var log bytes.Buffer
			r.run(logTo(&log))
			if s := r.relay.Status(); s.LastRebuild != reasonHistory {
				t.Errorf("status: got %+v, want a rebuild because %q", s, reasonHistory)
			}
			r.verify(1)
			saved := r.recovered(test.file)
			if len(saved) != test.saved || saved[0].Hash != lost[0].Hash {
				t.Errorf("saved: got %d events, want %d of the first history", len(saved), test.saved)
			}
			r.quit()
			if !strings.Contains(log.String(), "continues_log=false") {
				t.Errorf("log: got %s, want it to say that the events do not continue the log", &log)
			}
		})
	}
}

func TestStreamAheadOfAnEmptyLog(t *testing.T) {
	t.Parallel()
	r := newRig(t, newLog(30))
	r.run()
	r.quit()
	r.log.cut(0)
	r.run()
	r.verify(1)
	if saved := r.recovered("events-1-30.jsonl"); len(saved) != 30 {
		t.Errorf("saved: got %d events, want 30", len(saved))
	}
}

// Settings and end of the log lost at once: what the server finds again is
// looked at before anything is deleted.
func TestStreamAheadWithoutItsSettings(t *testing.T) {
	t.Parallel()
	r := newRig(t, newLog(300))
	r.run()
	r.halt()
	remove(t, filepath.Join(r.streamDir(), "meta.inf"))
	r.log.cut(250)
	r.boot()
	r.run()
	r.verify(1)
	if saved := r.recovered("events-251-300.jsonl"); len(saved) != 50 {
		t.Errorf("saved: got %d events, want 50", len(saved))
	}
}

// Damage in what only the stream holds: the rest is saved, and it is said that
// the chain is broken.
func TestDamagedStreamAheadOfTheLog(t *testing.T) {
	t.Parallel()
	r := newRig(t, newFatLog(300, 1<<10))
	r.run()
	r.halt()
	files, err := filepath.Glob(filepath.Join(r.streamDir(), "msgs", "*.blk"))
	if err != nil || len(files) != 1 {
		t.Fatalf("blocks: got %v (%v)", files, err)
	}
	flip(t, files[0], size(t, files[0])*95/100)
	r.log.cut(250)
	r.boot()
	var log bytes.Buffer
	r.run(logTo(&log))
	r.verify(1)
	if saved := r.recovered("events-251-300.jsonl"); len(saved) != 49 {
		t.Errorf("saved: got %d events, want all but one of 50", len(saved))
	}
	r.quit()
	for _, want := range []string{"cannot be read", "events=1", "continues_log=false"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log: got %s, want %q in it", &log, want)
		}
	}
}

// The stream is deleted only after its surplus was saved.
func TestSurplusThatCannotBeSaved(t *testing.T) {
	t.Parallel()
	r := newRig(t, newLog(30))
	r.run()
	r.quit()
	r.log.cut(20)
	if err := os.WriteFile(filepath.Join(r.dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.start(func(c *RelayConfig) {
		c.RecoveredDir = filepath.Join(r.dir, "file", "recovered")
		c.StartTimeout = 1
	})
	r.await("the failure", func() bool { return r.relay.Status().State == StateFailing })
	stream, err := r.js.Stream(t.Context(), StreamName)
	if err != nil || stream.CachedInfo().State.LastSeq != 30 {
		t.Errorf("stream: got %+v (%v), want it untouched", stream, err)
	}
	if s := r.relay.Status(); s.Rebuilds != 0 || s.Restarts != 0 || !strings.Contains(s.LastError, "save what only the stream holds") {
		t.Errorf("status: got %+v, want the reason and nothing done", s)
	}
}

func TestSavedTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	save := func(content string) string {
		t.Helper()
		temporary := filepath.Join(dir, "temporary")
		if err := os.WriteFile(temporary, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := place(temporary, filepath.Join(dir, "events-1-2"))
		if err != nil {
			t.Fatal(err)
		}
		return filepath.Base(file)
	}
	for i, test := range []struct{ content, want string }{
		{"a", "events-1-2.jsonl"},
		{"a", "events-1-2.jsonl"},
		{"b", "events-1-2-2.jsonl"},
		{"b", "events-1-2-2.jsonl"},
		{"c", "events-1-2-3.jsonl"},
	} {
		if got := save(test.content); got != test.want {
			t.Errorf("save %d: got %s, want %s", i, got, test.want)
		}
	}
}
