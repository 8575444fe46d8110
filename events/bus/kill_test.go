package bus

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// killRounds is how often the process is killed, killEvents what it commits at
// most in a round.
const killRounds, killEvents = 6, 2000

// TestKilled kills a process that relays, again and again on one store. The next
// one continues, and at the end the stream equals the log: nothing is missing,
// twice, or in another place.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir, born := t.TempDir(), time.Now().Add(-time.Hour).UTC()
	for round := range killRounds {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledChild$", "-test.v")
		child.Env = append(os.Environ(), "BUS_CHILD="+dir, "BUS_BORN="+strconv.FormatInt(born.UnixMicro(), 10))
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		// Ends the child where this process ends before it.
		leash, err := child.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer leash.Close()
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "relayed ") {
				t.Logf("round %d: killed after %s", round, lines.Text())
				break
			}
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := child.Wait(); err == nil {
			t.Fatal("the child ended by itself")
		}
	}
	r := &rig{t: t, dir: dir, log: newLogOf(time.UnixMicro(born.UnixMicro()), killRounds*killEvents, 0)}
	r.boot()
	t.Cleanup(r.halt)
	r.run()
	r.verify(1)
	if s := r.relay.Status(); s.Rebuilds != 0 || len(s.Recovered) != 0 {
		t.Errorf("status: got %+v, want it to continue", s)
	}
}

// TestKilledChild is the process that TestKilled kills.
func TestKilledChild(t *testing.T) {
	dir := os.Getenv("BUS_CHILD")
	if dir == "" {
		t.Skip("runs as a child of TestKilled")
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(2)
	}()
	micro, err := strconv.ParseInt(os.Getenv("BUS_BORN"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	all := newLogOf(time.UnixMicro(micro), killRounds*killEvents, 0)
	r := &rig{t: t, dir: dir, log: newLogOf(all.born, 0, 0)}
	r.boot()
	t.Cleanup(r.halt)
	// What the stream holds was committed before, as a relay never runs ahead.
	have := 0
	if stream, err := r.js.Stream(t.Context(), StreamName); err == nil {
		have = int(stream.CachedInfo().State.LastSeq)
	}
	r.log.rows = all.rows[:have:have]
	r.start()
	began := have
	for have < began+killEvents {
		r.commit(1)
		have++
		if have%20 == 0 {
			<-time.After(100 * time.Microsecond)
		}
		if position := int(r.relay.Status().Position); position-began > killEvents/4 {
			fmt.Println("relayed", position) //nolint:forbidigo // to the parent
		}
	}
	r.level()
	fmt.Println("relayed", have) //nolint:forbidigo // to the parent
	<-t.Context().Done()
}
