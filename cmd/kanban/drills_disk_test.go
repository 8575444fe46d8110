//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/events/bus"
	"github.com/agent-kanban/agent-kanban/ops"
)

// drill is a whole server on disks that a test may fill.
type drill struct {
	t     *testing.T
	dir   string
	s     *server
	token string
}

// disk mounts a small disk of its own on dir.
func disk(t *testing.T, dir string, size string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mount: %v (needs root)", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// newDrill starts a server on dir, with an admin and a board.
func newDrill(t *testing.T, dir string, configure func(s *server)) *drill {
	t.Helper()
	d := &drill{t: t, dir: dir, s: newTestServer(t, dir)}
	d.s.create = true // the disks below the directory are no traces of a lost database
	if configure != nil {
		configure(d.s)
	}
	if err := d.s.start(t.Context()); err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(d.stop)
	_, setup, _ := strings.Cut(d.s.setup, "#token=")
	var session struct {
		Token string `json:"access_token"`
	}
	d.must(201, "POST", "/api/auth/register", map[string]string{"username": "ada", "password": "correct horse battery", "setup_token": setup}, nil)
	d.must(200, "POST", "/api/auth/login", map[string]string{"username": "ada", "password": "correct horse battery"}, &session)
	d.token = session.Token
	d.must(201, "POST", "/api/boards", map[string]string{"name": "Website", "key": "WEB"}, nil)
	return d
}

func (d *drill) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := d.s.close(ctx); err != nil {
		d.t.Errorf("close: %v", err)
	}
	http.DefaultClient.CloseIdleConnections()
}

// ask sends a request and returns status and body.
func (d *drill) ask(method, path string, body any) (int, string) {
	d.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		d.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(d.t.Context(), method, d.s.URL()+path, bytes.NewReader(text))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if d.token != "" {
		req.Header.Set("Authorization", "Bearer "+d.token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer res.Body.Close()
	reply, err := io.ReadAll(res.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return res.StatusCode, string(reply)
}

func (d *drill) must(status int, method, path string, body, into any) {
	d.t.Helper()
	got, reply := d.ask(method, path, body)
	if got != status {
		d.t.Fatalf("%s %s: %d %s, want %d", method, path, got, reply, status)
	}
	if into != nil {
		if err := json.Unmarshal([]byte(reply), into); err != nil {
			d.t.Fatalf("%s %s: %v in %s", method, path, err, reply)
		}
	}
}

// create makes a ticket with a description of so many bytes.
func (d *drill) create(bytes int) (status int, reply string) {
	d.t.Helper()
	return d.ask("POST", "/api/tickets", map[string]any{
		"board_id": 1, "title": "Ticket", "description": strings.Repeat("x", bytes),
	})
}

// fill makes tickets until one is refused; it returns how many there are then.
func (d *drill) fill(made int) (int, int, string) {
	d.t.Helper()
	for {
		status, reply := d.create(8 << 10)
		if status != 201 {
			return made, status, reply
		}
		made++
	}
}

// tickets is how many the board has, by a query.
func (d *drill) tickets() int {
	d.t.Helper()
	var list struct{ Total int }
	d.must(200, "GET", "/api/tickets?board_id=1&limit=1", nil, &list)
	return list.Total
}

// health wants the state and returns the reply.
func (d *drill) health(status int, word string) string {
	d.t.Helper()
	got, reply := d.ask("GET", "/health", nil)
	if got != status || !strings.Contains(reply, `"status":"`+word+`"`) {
		d.t.Fatalf("health: %d %s, want %d %s", got, reply, status, word)
	}
	return reply
}

// await asks until ok; the test's own deadline ends it.
func (d *drill) await(what string, ok func() bool) {
	d.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	give := time.NewTimer(60 * time.Second)
	defer give.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-give.C:
			status, reply := d.ask("GET", "/health", nil)
			d.t.Fatalf("%s did not come about; health %d %s, relay %+v", what, status, reply, d.s.relay.Status())
		}
	}
}

// verify wants a log and rows without a fault, once the rows have caught up.
func (d *drill) verify() {
	d.t.Helper()
	head, err := d.s.db.Head(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	d.await("the read model", func() bool { return d.s.watermark.Position() >= head.Position })
	v, err := ops.Verify(d.t.Context(), d.s.db, verifyOptions(d.s.db, nil, nil))
	if err != nil || !v.OK() {
		d.t.Errorf("verify: %v, %+v", err, v)
	}
}

// filler takes what is left of a disk, and gives it back when it is called.
func filler(t *testing.T, dir string) (free func()) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, chunk := range [][]byte{make([]byte, 1<<20), make([]byte, 4<<10)} {
		for {
			if _, err := file.Write(chunk); errors.Is(err, syscall.ENOSPC) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	return func() {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	}
}

// FAULTS 20: a full data disk refuses commands, and nothing else; with space
// again it goes on by itself. What was acknowledged is there.
func TestDrillDataDiskFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	disk(t, dir, "64m")
	d := newDrill(t, dir, func(s *server) { s.busTimeout = time.Second })
	d.health(200, "healthy")
	free := filler(t, dir)
	made, status, reply := d.fill(0)
	if status != 507 && status != 503 {
		t.Errorf("a command on a full disk: %d %s, want 507 or 503", status, reply)
	}
	if status, reply := d.create(8 << 10); status != 507 && status != 503 || !strings.Contains(reply, "disk is full") {
		t.Errorf("the next command: %d %s, want 507 or 503 and why", status, reply)
	}
	if reply := d.health(503, "down"); !strings.Contains(reply, "free some space") || strings.Contains(reply, "healthy") {
		t.Errorf("health on a full disk: %s", reply)
	}
	if n := d.tickets(); n > made+1 { // the one that was refused may be in, if its rows could not be made
		t.Errorf("%d tickets, want at most %d", n, made+1)
	}
	free()
	d.await("the end of the trouble", func() bool { status, _ := d.ask("GET", "/health", nil); return status == 200 })
	for range 3 {
		if status, reply := d.create(8 << 10); status != 201 {
			t.Errorf("a command with space again: %d %s", status, reply)
		}
	}
	made += 3
	d.verify()
	if n := d.tickets(); n < made {
		t.Errorf("%d tickets, want the %d that were acknowledged", n, made)
	}
	d.await("the bus", func() bool {
		s := d.s.relay.Status()
		return s.State == bus.StateRelaying && s.Lag == 0
	})
	d.verify()
}

// FAULTS 21: a full disk below the bus alone stops nothing; it is told, and is
// over by itself.
func TestDrillBusDiskFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	folder := filepath.Join(dir, "jetstream")
	disk(t, folder, "16m")
	d := newDrill(t, dir, func(s *server) { s.busTimeout = time.Second })
	free := filler(t, folder)
	made := 0
	for d.s.relay.Status().State != bus.StateFailing {
		if status, reply := d.create(8 << 10); status != 201 {
			t.Fatalf("ticket %d while the bus has no space: %d %s", made, status, reply)
		}
		made++
	}
	if reply := d.health(200, "healthy"); !strings.Contains(reply, `"bus"`) {
		t.Errorf("health: %s, want bus in degraded", reply)
	}
	if n := d.tickets(); n != made {
		t.Errorf("%d tickets, want %d", n, made)
	}
	free()
	d.await("the bus", func() bool {
		s := d.s.relay.Status()
		return s.State == bus.StateRelaying && s.Lag == 0
	})
	if reply := d.health(200, "healthy"); strings.Contains(reply, `"bus"`) {
		t.Errorf("health with space again: %s", reply)
	}
	d.verify()
}

// The stream's folder is deleted under a live server: commands go on, the folder
// is made anew without a restart of the server, and holds everything again.
func TestDrillBusFolderDeleted(t *testing.T) {
	t.Parallel()
	configure, notices := alarmed(t)
	d := newDrill(t, t.TempDir(), func(s *server) {
		configure(s)
		s.busTimeout = time.Second
	})
	create := func() {
		t.Helper()
		if status, reply := d.create(10); status != 201 {
			t.Fatalf("create: %d %s", status, reply)
		}
	}
	create()
	d.await("the bus", func() bool { s := d.s.relay.Status(); return s.State == bus.StateRelaying && s.Lag == 0 })
	folder := filepath.Join(d.dir, "jetstream")
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	create()
	if n := awaitNotice(t, notices, "alert", "bus_folder"); !strings.Contains(n.Data.Message, "taken away") {
		t.Errorf("notice: %+v", n)
	}
	d.await("the bus again", func() bool {
		s := d.s.relay.Status()
		return s.State == bus.StateRelaying && s.Lag == 0 && s.Rebuilds > 0
	})
	if files, err := filepath.Glob(filepath.Join(folder, "$G", "streams", bus.StreamName, "msgs", "*.blk")); err != nil || len(files) == 0 {
		t.Errorf("blocks of the stream: %v, %v, want some", files, err)
	}
	create()
	if n := d.tickets(); n != 3 {
		t.Errorf("%d tickets, want 3", n)
	}
	if files, err := filepath.Glob(filepath.Join(d.dir, "recovered", "*")); err != nil || len(files) > 0 {
		t.Errorf("recovered: %v, %v, want nothing", files, err)
	}
	d.verify()

	// At rest, too: the next start fills it again.
	if err := d.s.close(context.Background()); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	d.s = newTestServer(t, d.dir)
	if err := d.s.start(t.Context()); err != nil {
		t.Fatalf("start without the folder: %v", err)
	}
	if s := d.s.relay.Status(); s.State != bus.StateRelaying || s.Rebuilds != 1 {
		t.Errorf("relay: %+v, want a stream that was made anew", s)
	}
	d.health(200, "healthy")
	create()
	if n := d.tickets(); n != 4 {
		t.Errorf("%d tickets, want 4", n)
	}
	d.verify()
}

// brokenDisk mounts a file as an ext4 of its own on dir. fail does what the kernel
// does on an error of the device: the file system is read only from then on, for
// those who have files open as well. mend mounts it anew.
func brokenDisk(t *testing.T, dir string) (fail, mend func()) {
	t.Helper()
	image := filepath.Join(t.TempDir(), "disk")
	command := func(name string, args ...string) error {
		out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", name, err, out)
		}
		return nil
	}
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 64<<20); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(command("mkfs.ext4", "-q", "-F", image), command("mount", "-o", "loop,errors=remount-ro", image, dir)); err != nil {
		t.Skipf("%v (needs root, and loop devices)", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	fail = func() {
		out, err := exec.CommandContext(t.Context(), "findmnt", "-no", "SOURCE", dir).Output()
		if err == nil {
			device := filepath.Base(strings.TrimSpace(string(out)))
			err = os.WriteFile(filepath.Join("/sys/fs/ext4", device, "trigger_fs_error"), []byte("1"), 0o200)
		}
		if err != nil {
			t.Skipf("break the disk: %v", err)
		}
	}
	mend = func() {
		if err := errors.Join(command("umount", dir), command("mount", "-o", "loop,errors=remount-ro", image, dir)); err != nil {
			t.Fatal(err)
		}
	}
	return fail, mend
}

// FAULTS 22: a file system that the kernel has made read only refuses commands,
// and serves queries. After a repair everything that was acknowledged is there.
func TestDrillReadOnlyDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fail, mend := brokenDisk(t, dir)
	d := newDrill(t, dir, func(s *server) { s.cfg.Synchronous, s.busTimeout = "FULL", time.Second })
	const made = 5
	for range made {
		if status, reply := d.create(10); status != 201 {
			t.Fatalf("create: %d %s", status, reply)
		}
	}
	fail()
	for range 20 {
		if status, reply := d.create(10); status != 503 {
			t.Fatalf("a command on a read-only disk: %d %s", status, reply)
		}
		d.health(503, "down")
		if n := d.tickets(); n != made {
			t.Fatalf("%d tickets, want %d", n, made)
		}
	}
	if err := d.s.close(context.Background()); err != nil {
		t.Logf("close on a read-only disk: %v", err) // the WAL cannot be emptied
	}
	mend()
	d.s = newTestServer(t, dir)
	if err := d.s.start(t.Context()); err != nil {
		t.Fatalf("start after the repair: %v", err)
	}
	d.health(200, "healthy")
	if status, reply := d.create(10); status != 201 {
		t.Errorf("a command after the repair: %d %s", status, reply)
	}
	d.verify()
	if n := d.tickets(); n != made+1 {
		t.Errorf("%d tickets, want %d", n, made+1)
	}
}
