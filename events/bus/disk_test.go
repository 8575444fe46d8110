//go:build linux

package bus

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A full disk under the bus alone: commands and their readers do not notice, and
// once there is space again the bus comes back without a restart of the process.
func TestBusDiskFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=24m"); err != nil {
		t.Skipf("mount: %v (needs root)", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	r := &rig{t: t, dir: dir, log: newFatLog(10, 1<<10)}
	r.boot()
	t.Cleanup(r.halt)
	r.run(func(c *RelayConfig) {
		c.AckTimeout, c.RestartPause, c.MaxBytes = 500*time.Millisecond, 100*time.Millisecond, 8<<20
	})

	filler := filepath.Join(dir, "filler")
	file, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	for chunk := make([]byte, 64<<10); ; {
		if _, err := file.Write(chunk); err != nil {
			break
		}
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}

	sub := r.tail.Subscribe(r.log.head().Position)
	for range 40 {
		r.commit(50)
		positions(t, sub, r.log.head().Position)
	}
	r.await("the trouble", func() bool { return r.relay.Status().Restarts > 1 })
	t.Logf("disk full: %+v", r.relay.Status())
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	r.level()
	r.commit(10)
	r.level()
	t.Logf("space again: %+v", r.relay.Status())
	r.verify(1)
}
