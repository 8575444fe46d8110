package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/client"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"kanban": program})
}

// The scripts in testdata drive the program as a user types it.
func TestScripts(t *testing.T) {
	t.Parallel()
	sample, err := filepath.Abs("../../../shared/data/original_agent_kanban.db")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Condition: func(condition string) (bool, error) {
			if condition != "realdata" {
				return false, errors.New("there is no such condition")
			}
			_, err := os.Stat(sample)
			return err == nil, nil
		},
		Setup: func(e *testscript.Env) error {
			// Otherwise every process that is built for the race detector rests a
			// second at its end.
			e.Vars = append(e.Vars, "REALDATA="+sample, "PORT=0", "DATA_DIR=data", "TZ=UTC", "GORACE=atexit_sleep_ms=0 halt_on_error=1")
			e.Vars = append(e.Vars, "XDG_CACHE_HOME="+filepath.Join(e.WorkDir, "cache"))
			e.Values[servingKey{}] = new(current)
			e.Values[inboxKey{}] = new(mailbox)
			return os.Mkdir(filepath.Join(e.WorkDir, "data"), 0o700)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"serve": scriptServe, "halt": scriptHalt, "register": scriptRegister,
			"capture": scriptCapture, "field": scriptField, "tamper": scriptTamper, "usage": scriptUsage, "exits": scriptExits,
			"refused": scriptRefused, "purge": scriptPurge, "line": scriptLine, "sql": scriptSQL, "hole": scriptHole,
			"receiver": scriptReceiver, "received": scriptReceived,
		},
	})
}

// serving is the server of a script.
type serving struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
	done   chan error
}

// current holds the server that runs now.
type current struct{ server *serving }

// servingKey finds the server of a script among the values of its environment.
type servingKey struct{}

// serve starts a server and waits until it says where it answers: KANBAN_URL is
// set, and SETUP to the setup token if there is one.
func scriptServe(ts *testscript.TestScript, neg bool, args []string) {
	self, err := os.Executable()
	ts.Check(err)
	s := &serving{cmd: exec.Command(self, args...), done: make(chan error, 1)}
	s.cmd.Args = append([]string{"kanban", "serve"}, args...)
	s.cmd.Dir = ts.MkAbs(".")
	s.cmd.Stderr = &s.stderr
	for _, name := range []string{"PATH", "HOME", "GORACE", "PORT", "DATA_DIR", "TZ", "TMPDIR", "REGISTRATION", "TESTING", "DATABASE_URL", "WEBHOOK_ALLOW"} {
		if v := ts.Getenv(name); v != "" {
			s.cmd.Env = append(s.cmd.Env, name+"="+v)
		}
	}
	out, err := s.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(s.cmd.Start())
	said := make([]byte, 4096)
	n, err := out.Read(said)
	if err != nil {
		_ = s.cmd.Wait()
		ts.Fatalf("the server did not start: %v\n%s", err, s.stderr.String())
	}
	go func() { s.done <- s.cmd.Wait() }()
	url, rest, _ := strings.Cut(strings.TrimPrefix(string(said[:n]), "kanban: "), "\n")
	_, token, _ := strings.Cut(strings.TrimSpace(rest), "/setup#token=")
	ts.Setenv("KANBAN_URL", url)
	ts.Setenv("PORT", url[strings.LastIndexByte(url, ':')+1:])
	ts.Setenv("SETUP", token)
	ts.Value(servingKey{}).(*current).server = s
	ts.Defer(func() { _ = s.cmd.Process.Kill() })
}

// halt ends the server: with SIGTERM, which must succeed, or "halt -9". (stop is a
// word of testscript itself, which ends the script there and passes.)
func scriptHalt(ts *testscript.TestScript, neg bool, args []string) {
	s := ts.Value(servingKey{}).(*current).server
	signal := syscall.SIGTERM
	if len(args) == 1 && args[0] == "-9" {
		signal = syscall.SIGKILL
	}
	ts.Check(s.cmd.Process.Signal(signal))
	select {
	case err := <-s.done:
		if err != nil && signal == syscall.SIGTERM {
			ts.Fatalf("the server ended with %v\n%s", err, s.stderr.String())
		}
	case <-time.After(20 * time.Second):
		ts.Fatalf("the server does not end\n%s", s.stderr.String())
	}
}

// register makes the first account through the API.
func scriptRegister(ts *testscript.TestScript, neg bool, args []string) {
	c, err := client.New(client.Config{URL: ts.Getenv("KANBAN_URL")})
	ts.Check(err)
	_, err = c.Register(context.Background(), args[0], args[1], ts.Getenv("SETUP"))
	var refused *events.Error
	if neg {
		if !errors.As(err, &refused) {
			ts.Fatalf("register: %v, want a refusal", err)
		}
		return
	}
	ts.Check(err)
}

// capture puts the last standard output into a variable.
func scriptCapture(ts *testscript.TestScript, neg bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// field puts one field of the last standard output, which is JSON, into a
// variable: "field FENCE lease fence".
func scriptField(ts *testscript.TestScript, neg bool, args []string) {
	var value any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &value))
	for _, name := range args[1:] {
		switch v := value.(type) {
		case map[string]any:
			value = v[name]
		case []any:
			i, err := strconv.Atoi(name)
			ts.Check(err)
			value = v[i]
		}
	}
	text, err := json.Marshal(value)
	ts.Check(err)
	ts.Setenv(args[0], strings.Trim(string(text), `"`))
}

// tamper changes one byte of the data of one event, behind the program's back.
func scriptTamper(ts *testscript.TestScript, neg bool, args []string) {
	db, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	rows, err := db.Query("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'events'")
	ts.Check(err)
	defer rows.Close()
	var triggers []string
	for rows.Next() {
		var name string
		ts.Check(rows.Scan(&name))
		triggers = append(triggers, name)
	}
	ts.Check(rows.Err())
	for _, name := range triggers {
		_, err := db.Exec("DROP TRIGGER " + name)
		ts.Check(err)
	}
	res, err := db.Exec("UPDATE events SET data = replace(data, ?, ?) WHERE position = ?", args[2], args[3], args[1])
	ts.Check(err)
	if n, _ := res.RowsAffected(); n != 1 {
		ts.Fatalf("tampered with %d rows, want 1", n)
	}
}

// exits runs a command line that must end with an exit code and with advice:
// "exits 5 kanban heartbeat WEB-1".
func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != want {
		ts.Fatalf("%s: %v, want exit code %d", strings.Join(args[1:], " "), err, want)
	}
	if !strings.Contains(ts.ReadFile("stderr"), "\nTry: ") {
		ts.Fatalf("the error does not end with advice")
	}
}

// line copies the lines of a file that contain a text into a new file.
func scriptLine(ts *testscript.TestScript, neg bool, args []string) {
	var found strings.Builder
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		if strings.Contains(line, args[1]) {
			found.WriteString(line)
		}
	}
	path := ts.MkAbs(args[2])
	ts.Check(os.MkdirAll(filepath.Dir(path), 0o700))
	ts.Check(os.WriteFile(path, []byte(found.String()), 0o600))
}

// purge removes what matches a pattern.
func scriptPurge(ts *testscript.TestScript, neg bool, args []string) {
	paths, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	for _, path := range paths {
		ts.Check(os.RemoveAll(path))
	}
}

// sql changes a database behind the program's back.
func scriptSQL(ts *testscript.TestScript, neg bool, args []string) {
	db, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	_, err = db.Exec(args[1])
	ts.Check(err)
}

// hole damages one event in the blocks of a stream's folder.
func scriptHole(ts *testscript.TestScript, neg bool, args []string) {
	holes := 0
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".blk") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if at := bytes.Index(text, []byte(`"position":`+args[1]+`,`)); at > 0 {
			holes++
			text[at] = 'x'
		}
		return os.WriteFile(path, text, 0o600)
	}))
	if holes != 1 {
		ts.Fatalf("damaged %d events, want 1", holes)
	}
}

// refused runs a command line until it is refused: a revocation by another process
// takes effect within two seconds.
func scriptRefused(ts *testscript.TestScript, neg bool, args []string) {
	deadline := time.Now().Add(20 * time.Second)
	for ts.Exec(args[0], args[1:]...) == nil {
		if time.Now().After(deadline) {
			ts.Fatalf("%s is not refused", strings.Join(args, " "))
		}
	}
}

// usage runs a command line that must end with exit code 2 and with advice.
func scriptUsage(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec(args[0], args[1:]...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitUsage {
		ts.Fatalf("%s: %v, want exit code %d", strings.Join(args, " "), err, exitUsage)
	}
	if !strings.Contains(ts.ReadFile("stderr"), "\nTry: kanban") {
		ts.Fatalf("the error does not end with advice")
	}
}
