package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// child is the real program in a process of its own, on a port that stays the
// same over its restarts.
type child struct {
	tb   testing.TB
	dir  string
	addr string
	bin  string
	env  []string
	cmd  *exec.Cmd
	out  *bytes.Buffer
	wait func() error
}

// newChild prepares a server on dir; start starts it. The test binary is the
// program when it is called "kanban" (see TestMain).
func newChild(tb testing.TB, dir string) *child {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	bin := filepath.Join(tb.TempDir(), "kanban")
	if err := os.Symlink(self, bin); err != nil {
		tb.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	c := &child{tb: tb, dir: dir, addr: addr, bin: bin}
	tb.Cleanup(func() {
		if c.cmd != nil {
			_ = c.stop()
		}
	})
	return c
}

func (c *child) url() string { return "http://" + c.addr }

// start returns when the server answers.
func (c *child) start() {
	c.tb.Helper()
	_, port, _ := net.SplitHostPort(c.addr)
	cmd := exec.Command(c.bin, "serve")
	cmd.Dir = c.dir
	cmd.Env = append(append(os.Environ(), "DATA_DIR="+c.dir, "PORT="+port, "HOST=127.0.0.1", "LOG_LEVEL=warn", "RATE_LIMIT_REQUESTS_PER_MINUTE=0"), c.env...)
	c.out = &bytes.Buffer{}
	cmd.Stderr = c.out
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		c.tb.Fatal(err)
	}
	c.cmd = cmd
	c.wait = sync.OnceValue(cmd.Wait)
	ready := make(chan bool, 1)
	go func() {
		line, _ := bufio.NewReader(stdout).ReadString('\n')
		ready <- strings.Contains(line, c.addr)
		_, _ = io.Copy(io.Discard, stdout)
	}()
	select {
	case ok := <-ready:
		if !ok {
			_ = c.wait()
			c.tb.Fatalf("the server did not start:\n%s", c.out)
		}
	case <-time.After(60 * time.Second):
		c.tb.Fatalf("the server does not get ready:\n%s", c.out)
	}
}

// kill is kill -9.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.wait()
	c.cmd = nil
}

// stop is SIGTERM; it returns the exit error.
func (c *child) stop() error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	err := c.wait()
	c.cmd = nil
	return err
}

// command is a subcommand on the same data directory, ready to run.
func (c *child) command(args ...string) *exec.Cmd {
	cmd := exec.Command(c.bin, args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "DATA_DIR="+c.dir, "KANBAN_URL="+c.url())
	return cmd
}

// run runs one and returns what it printed.
func (c *child) run(args ...string) (string, error) {
	out, err := c.command(args...).CombinedOutput()
	return string(out), err
}

// exec changes the database while the server is stopped.
func (c *child) exec(text string) {
	c.tb.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(c.dir, "agent_kanban.db"))
	if err != nil {
		c.tb.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(text); err != nil {
		c.tb.Fatalf("%s: %v", text, err)
	}
}

// query reads one number from the database.
func (c *child) query(text string) (n int64) {
	c.tb.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(c.dir, "agent_kanban.db")+"?mode=ro")
	if err != nil {
		c.tb.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(text).Scan(&n); err != nil {
		c.tb.Fatalf("%s: %v", text, err)
	}
	return n
}

// rss is the resident memory of the process in bytes.
func (c *child) rss() int64 {
	c.tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		c.tb.Skip("no /proc here")
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// setup registers the first admin and returns an access token.
func (c *child) setup() string {
	c.tb.Helper()
	token, err := os.ReadFile(filepath.Join(c.dir, "setup-token"))
	if err != nil {
		c.tb.Fatal(err)
	}
	c.post("/api/auth/register", "", map[string]any{
		"username": "ada", "password": "correct horse battery", "setup_token": strings.TrimSpace(string(token)),
	})
	return c.login()
}

func (c *child) login() string {
	c.tb.Helper()
	reply := c.post("/api/auth/login", "", map[string]any{"username": "ada", "password": "correct horse battery"})
	access, _ := reply["access_token"].(string)
	if access == "" {
		c.tb.Fatalf("login: %v", reply)
	}
	return access
}

// post sends JSON and fails on anything but success.
func (c *child) post(path, token string, body any) map[string]any {
	c.tb.Helper()
	text, _ := json.Marshal(body)
	req, _ := http.NewRequest(http.MethodPost, c.url()+path, bytes.NewReader(text))
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.tb.Fatal(err)
	}
	defer res.Body.Close()
	var reply map[string]any
	_ = json.NewDecoder(res.Body).Decode(&reply)
	if res.StatusCode >= 300 {
		c.tb.Fatalf("POST %s: %s %v", path, res.Status, reply)
	}
	return reply
}

// wire is one keep-alive connection of the load generator. It does as little as
// HTTP/1.1 allows, so that what is measured is the server.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
	body []byte
	// position is the Kanban-Position of the last reply, 0 where it had none.
	position int64
}

func dial(addr string) (*wire, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &wire{conn: conn, in: bufio.NewReaderSize(conn, 16<<10)}, nil
}

// do sends one request and returns the status and the body, valid until the
// next call.
func (w *wire) do(method, path, token, extra, body string) (status int, reply []byte, err error) {
	w.out = append(w.out[:0], method...)
	w.out = append(w.out, ' ')
	w.out = append(w.out, path...)
	w.out = append(w.out, " HTTP/1.1\r\nHost: kanban\r\nAuthorization: Bearer "...)
	w.out = append(w.out, token...)
	w.out = append(w.out, "\r\nContent-Type: application/json\r\nContent-Length: "...)
	w.out = strconv.AppendInt(w.out, int64(len(body)), 10)
	w.out = append(w.out, "\r\n"...)
	w.out = append(w.out, extra...)
	w.out = append(w.out, "\r\n"...)
	w.out = append(w.out, body...)
	if _, err := w.conn.Write(w.out); err != nil {
		return 0, nil, err
	}
	line, err := w.in.ReadSlice('\n')
	if err != nil {
		return 0, nil, err
	}
	if len(line) < 12 {
		return 0, nil, fmt.Errorf("status line %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, nil, err
	}
	length := 0
	w.position = 0
	for {
		line, err := w.in.ReadSlice('\n')
		if err != nil {
			return 0, nil, err
		}
		if len(line) <= 2 {
			break
		}
		if name, value, ok := bytes.Cut(line, []byte(": ")); ok && strings.EqualFold(string(name), "Content-Length") {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, nil, err
			}
		} else if ok && string(name) == "Kanban-Position" {
			w.position, _ = strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
		}
	}
	if cap(w.body) < length {
		w.body = make([]byte, length)
	}
	w.body = w.body[:length]
	_, err = io.ReadFull(w.in, w.body)
	return status, w.body, err
}

// program is main, with a profile of its CPU time where one is asked for:
// KANBAN_CPUPROFILE=/tmp/cpu go test -run '^$' -bench CreateTicket ./cmd/kanban.
func program() {
	path := os.Getenv("KANBAN_CPUPROFILE")
	if path == "" {
		main()
		return
	}
	f, err := os.Create(fmt.Sprintf("%s.%d", path, os.Getpid()))
	if err == nil {
		err = pprof.StartCPUProfile(f)
	}
	if err != nil {
		panic(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	pprof.StopCPUProfile()
	f.Close()
	os.Exit(code)
}
