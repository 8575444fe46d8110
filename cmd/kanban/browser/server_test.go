package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// password is everybody's.
const password = "correct horse battery"

// server is the program in a process of its own, on a port that stays the same over
// its restarts.
type server struct {
	dir, addr string
	setup     string // the address that it printed at its first start
	cmd       *exec.Cmd
	log       *bytes.Buffer
}

// newServer starts a server on a directory of its own.
func newServer(t testing.TB) *server {
	t.Helper()
	s := idle(t)
	s.begin(t)
	return s
}

// idle is one that was not begun yet.
func idle(t testing.TB) *server {
	s := &server{dir: t.TempDir()}
	t.Cleanup(func() {
		s.end()
		if t.Failed() {
			t.Logf("the server said:\n%s", s.log)
		}
	})
	return s
}

func (s *server) url() string { return "http://" + s.addr }

// begin returns when the server answers.
func (s *server) begin(t testing.TB) {
	t.Helper()
	if err := built(); err != nil {
		t.Fatal(err)
	}
	if s.addr == "" {
		ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.addr = ln.Addr().String()
		ln.Close()
	}
	_, port, _ := net.SplitHostPort(s.addr)
	cmd := exec.Command(program, "serve", "--json")
	cmd.Dir = s.dir
	cmd.Env = append(cmd.Environ(), "DATA_DIR="+s.dir, "PORT="+port, "HOST=127.0.0.1", "LOG_LEVEL=warn",
		"RATE_LIMIT_REQUESTS_PER_MINUTE=0", "AGENT_COMMANDS_PER_MINUTE=0", "TRUSTED_PROXIES=127.0.0.1")
	s.log = &bytes.Buffer{}
	cmd.Stderr = s.log
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	s.cmd = cmd
	ready := make(chan error, 1)
	go func() {
		var said struct{ URL, Setup string }
		err := json.NewDecoder(out).Decode(&said)
		s.setup = said.Setup
		ready <- err
		_, _ = io.Copy(io.Discard, out)
	}()
	select {
	case err := <-ready:
		if err != nil {
			_ = cmd.Wait()
			t.Fatalf("the server did not start: %v\n%s", err, s.log)
		}
	case <-time.After(60 * time.Second):
		t.Fatal("the server does not get ready")
	}
}

// end is SIGTERM, and returns when the process is gone.
func (s *server) end() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
	s.cmd = nil
}

// common returns the server that all tests share that do not need one to themselves.
func common(t testing.TB) *server {
	t.Helper()
	chromium(t)
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		s := &server{dir: filepath.Join(filepath.Dir(program), "data")}
		if err := os.Mkdir(s.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		s.begin(t)
		shared.server = s
		s.register(t, "ada")
	}
	return shared.server
}

// shared is the server of all tests that do not need one to themselves.
var shared struct {
	sync.Mutex
	server *server
}

// user is somebody with an account, who can call the API.
type user struct {
	t       testing.TB
	s       *server
	name    string
	access  string
	refresh string
	id      int64
}

var client = &http.Client{Timeout: 30 * time.Second}

// call sends a request and decodes the reply into out where that is not nil. It fails
// the test on a refusal.
func (u *user) call(method, path string, body, out any) {
	u.t.Helper()
	var text []byte
	if body != nil {
		text, _ = json.Marshal(body)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, u.s.url()+path, bytes.NewReader(text))
	if err != nil {
		u.t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if u.access != "" {
		req.Header.Set("Authorization", "Bearer "+u.access)
	}
	// Few accounts may be registered from one address.
	req.Header.Set("X-Forwarded-For", fmt.Sprintf("192.0.2.%d", len(u.name)*16+int(u.name[0]%16)))
	res, err := client.Do(req)
	if err != nil {
		u.t.Fatal(err)
	}
	defer res.Body.Close()
	reply, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("%s %s", res.Status, reply)
	}
	if err == nil && out != nil {
		err = json.Unmarshal(reply, out)
	}
	if err != nil {
		u.t.Fatalf("%s %s: %v", method, path, err)
	}
}

// register makes an account and signs in. The first one of a server is its admin.
func (s *server) register(t testing.TB, name string) *user {
	t.Helper()
	u := &user{t: t, s: s, name: name}
	body := map[string]string{"username": name, "password": password}
	if _, token, ok := strings.Cut(s.setup, "#token="); ok {
		body["setup_token"] = token
		s.setup = ""
	}
	u.call("POST", "/api/auth/register", body, nil)
	u.login()
	return u
}

func (u *user) login() {
	u.t.Helper()
	var reply struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
		User         struct {
			ID int64 `json:"id"`
		} `json:"user"`
	}
	u.access = ""
	u.call("POST", "/api/auth/login", map[string]string{"username": u.name, "password": password}, &reply)
	u.access, u.refresh, u.id = reply.AccessToken, reply.RefreshToken, reply.User.ID
}

type board struct {
	ID      int64    `json:"id"`
	Key     string   `json:"key"`
	Columns []column `json:"columns"`
	Moment  int64    `json:"-"` // a position at which it had all its tickets
	Before  int      `json:"-"` // how many tickets it had before furnish
}

// ticket is the key of one that furnish made: the first is 1.
func (b board) ticket(n int) string { return fmt.Sprintf("%s-%d", b.Key, b.Before+n) }

type column struct {
	ID       int64  `json:"id"`
	Name     string `json:"name"`
	Kind     string `json:"kind"`
	WIPLimit *int   `json:"wip_limit"`
}

// limit sets the WIP limit of the column with a name.
func (u *user) limit(b board, name string, n int) {
	u.t.Helper()
	for i := range b.Columns {
		if b.Columns[i].Name == name {
			b.Columns[i].WIPLimit = &n
		}
	}
	u.call("PUT", fmt.Sprintf("/api/boards/%d/columns", b.ID), b.Columns, nil)
}

type ticket struct {
	ID     int64  `json:"id"`
	Key    string `json:"key"`
	Column string `json:"current_column"`
	Title  string `json:"title"`
}

// board makes a board that the user runs.
func (u *user) board(key string) board {
	u.t.Helper()
	var b board
	u.call("POST", "/api/boards", map[string]string{"name": "Board " + key, "key": key}, &b)
	return b
}

// ticket adds a ticket to a column by its name.
func (u *user) ticket(b board, column, title string) ticket {
	u.t.Helper()
	var k ticket
	u.call("POST", "/api/tickets", map[string]string{"board_id": fmt.Sprint(b.ID), "title": title, "column": column}, &k)
	return k
}
