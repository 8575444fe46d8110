package shared

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// journal is a log whose lines can be awaited.
type journal struct {
	lines chan string
	mu    sync.Mutex
	all   bytes.Buffer
}

func newJournal() *journal { return &journal{lines: make(chan string, 1000)} }

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines <- string(p)
	return j.all.Write(p)
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.all.String()
}

func (j *journal) await(t *testing.T, text string) {
	t.Helper()
	for {
		select {
		case line := <-j.lines:
			if strings.Contains(line, text) {
				return
			}
		case <-t.Context().Done():
			t.Fatalf("no line %q in\n%s", text, j.text())
		case <-time.After(30 * time.Second):
			t.Fatalf("no line %q in\n%s", text, j.text())
		}
	}
}

func start(t *testing.T, cfg Config) (*Shared, *journal) {
	t.Helper()
	j := newJournal()
	cfg.Logger = slog.New(slog.NewTextHandler(j, nil))
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s, j
}

func limiter(t *testing.T, s *Shared, limit Limit, keys int) *Limiter {
	t.Helper()
	l, err := s.NewLimiter("test", limit, keys)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func allowed(l *Limiter, key string, n int) (yes int) {
	for range n {
		if l.Take(context.Background(), key).Allowed {
			yes++
		}
	}
	return yes
}

var slow = Limit{Burst: 5, Every: time.Hour}

func TestProcessesCountTogether(t *testing.T) {
	t.Parallel()
	mini := miniredis.RunT(t)
	one, _ := start(t, Config{URL: "redis://" + mini.Addr() + "/0"})
	two, _ := start(t, Config{URL: "redis://" + mini.Addr() + "/0"})
	alone, _ := start(t, Config{})
	a, b := limiter(t, one, slow, 10), limiter(t, two, slow, 10)
	if got := allowed(a, "ann", 3) + allowed(b, "ann", 10); got != 5 {
		t.Errorf("two processes allowed %d of a limit of 5", got)
	}
	v := b.Take(t.Context(), "ann")
	if v.Allowed || v.Remaining != 0 || v.Retry <= 0 || v.Retry > time.Hour || v.Reset <= 4*time.Hour {
		t.Errorf("the verdict is %+v", v)
	}
	if got := allowed(a, "bob", 10); got != 5 {
		t.Errorf("another key was allowed %d, want 5", got)
	}
	if got := allowed(limiter(t, alone, slow, 10), "ann", 10); got != 5 {
		t.Errorf("a process of its own allowed %d, want 5", got)
	}
	if alone.Status().Degraded() || one.Status().Degraded() {
		t.Error("nothing is missing, but the status says so")
	}
	for _, key := range mini.Keys() {
		if strings.Contains(key, "ann") {
			t.Errorf("the key %q tells whose it is", key)
		}
	}
}

// TestRedisGoesAndComesBack: one warning, one line when it is back, and limits
// all the way.
func TestRedisGoesAndComesBack(t *testing.T) {
	t.Parallel()
	mini := miniredis.RunT(t)
	s, j := start(t, Config{URL: "redis://" + mini.Addr(), Probe: 10 * time.Millisecond})
	l := limiter(t, s, slow, 10)
	if got := allowed(l, "ann", 3); got != 3 || !s.Status().Up {
		t.Fatalf("with redis %d were allowed, want 3; %+v", got, s.Status())
	}
	mini.Close()
	if got := allowed(l, "ann", 10); got != 2 {
		t.Errorf("when redis went %d more were allowed, want 2", got)
	}
	j.await(t, "redis is away")
	if st := s.Status(); !st.Degraded() || st.Error == "" || st.Losses != 1 {
		t.Errorf("status is %+v", st)
	}
	if err := mini.Restart(); err != nil {
		t.Fatal(err)
	}
	j.await(t, "redis is back")
	if st := s.Status(); st.Degraded() || st.Error != "" {
		t.Errorf("status is %+v", st)
	}
	if text := j.text(); strings.Count(text, "level=WARN") != 1 || strings.Count(text, "redis is back") != 1 {
		t.Errorf("the log is\n%s", text)
	}
}

// TestStartWithoutRedis: what is away at the start is found later.
func TestStartWithoutRedis(t *testing.T) {
	t.Parallel()
	mini := miniredis.RunT(t)
	addr := mini.Addr()
	mini.Close()
	s, j := start(t, Config{URL: "redis://" + addr, Probe: 10 * time.Millisecond})
	j.await(t, "redis is away")
	if got := allowed(limiter(t, s, slow, 10), "ann", 10); got != 5 {
		t.Errorf("%d were allowed, want 5", got)
	}
	if err := mini.Restart(); err != nil {
		t.Fatal(err)
	}
	j.await(t, "redis is back")
}

// TestNobodyWaitsOnRedis: once it is known not to answer, nothing asks it but the
// probe. The Redis here takes every connection and says nothing.
func TestNobodyWaitsOnRedis(t *testing.T) {
	t.Parallel()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			t.Cleanup(func() { conn.Close() })
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	s, _ := start(t, Config{URL: "redis://" + ln.Addr().String(), Probe: time.Hour, Answer: time.Millisecond})
	before := asked.Load()
	if before == 0 {
		t.Fatal("the start did not look for redis")
	}
	l := limiter(t, s, Limit{Burst: 1000, Every: time.Hour}, 10)
	if got := allowed(l, "ann", 2000); got != 1000 {
		t.Errorf("%d were allowed, want 1000", got)
	}
	if after := asked.Load(); after != before {
		t.Errorf("2000 requests asked the dead redis %d times", after-before)
	}
}

func TestPasswordStaysInside(t *testing.T) {
	t.Parallel()
	const password = "s3cret-of-redis"
	for _, url := range []string{"redis://:" + password + "@host:bad/0", "http://u:" + password + "@h", "redis://:" + password + "@h:1/x"} {
		if _, err := New(Config{URL: url}); err == nil || strings.Contains(err.Error(), password) {
			t.Errorf("the error is %v", err)
		}
	}
	mini := miniredis.RunT(t)
	mini.RequireAuth("another")
	s, j := start(t, Config{URL: "redis://:" + password + "@" + mini.Addr() + "/0", Probe: time.Hour})
	j.await(t, "redis is away")
	if text := j.text() + fmt.Sprintf("%+v", s.Status()); strings.Contains(text, password) || !strings.Contains(text, "WRONGPASS") {
		t.Errorf("log and status are\n%s", text)
	}
}

// TestMillionAddresses: memory stays bounded, and whoever hammers among a million
// others is limited all the same.
func TestMillionAddresses(t *testing.T) {
	s, _ := start(t, Config{})
	const keys = 50_000
	l := limiter(t, s, slow, keys)
	yes := 0
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range addresses {
		l.Take(t.Context(), fmt.Sprintf("2001:db8:%x:%x::/64", i>>16, i&0xffff))
		if i%10 == 0 && l.Take(t.Context(), "hammer").Allowed {
			yes++
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if n := l.buckets.EstimatedSize(); n > keys {
		t.Errorf("there are %d buckets, want at most %d", n, keys)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
	if yes > 2*slow.Burst {
		t.Errorf("a hammering caller was allowed %d of %d, want about %d", yes, addresses/10, slow.Burst)
	}
	runtime.KeepAlive(l)
}

func TestStopIsSafe(t *testing.T) {
	t.Parallel()
	mini := miniredis.RunT(t)
	s, err := New(Config{URL: "redis://" + mini.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}
	if err := s.Start(t.Context()); err == nil {
		t.Error("it started after its end")
	}
	if got := allowed(limiter(t, s, slow, 10), "ann", 10); got != 5 {
		t.Errorf("after the end %d were allowed, want 5", got)
	}
	if _, err := s.NewLimiter("x", Limit{}, 10); err == nil {
		t.Error("a limit of nothing was taken")
	}
}

// TestRealRedis runs the real server, kills it and starts it anew.
func TestRealRedis(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("there is no redis-server here")
	}
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	_, port, _ := net.SplitHostPort(addr)
	run := func() *exec.Cmd {
		cmd := exec.Command(program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir())
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	end := func(cmd *exec.Cmd) {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	s, j := start(t, Config{URL: "redis://" + addr, Probe: 10 * time.Millisecond})
	j.await(t, "redis is away") // nobody is there yet
	first := run()
	j.await(t, "redis is back")
	l := limiter(t, s, slow, 10)
	if got := allowed(l, "ann", 10); got != 5 {
		t.Errorf("%d were allowed, want 5", got)
	}
	end(first)
	j.await(t, "redis is away")
	if got := allowed(l, "bob", 10); got != 5 {
		t.Errorf("without redis %d were allowed, want 5", got)
	}
	second := run()
	defer end(second)
	j.await(t, "redis is back")
	if v, ok := s.Count(t.Context(), "test", "carl", slow, 2); !ok || v.Remaining != 3 {
		t.Errorf("after its return redis counts %+v, %v", v, ok)
	}
}

func TestReplies(t *testing.T) {
	t.Parallel()
	mini := miniredis.RunT(t)
	s, _ := start(t, Config{URL: "redis://" + mini.Addr()})
	other, _ := start(t, Config{URL: "redis://" + mini.Addr()})
	alone, _ := start(t, Config{})
	if alone.Replies() != nil {
		t.Error("there are replies without a Redis")
	}
	ctx, one, two := t.Context(), s.Replies(), other.Replies()
	if _, ok := one.Load(ctx, "a"); ok || s.Status().Losses != 0 {
		t.Error("a reply that nobody stored was found, or its absence counts as a loss")
	}
	one.Store(ctx, "a", []byte("first"))
	one.Store(ctx, "a", []byte("second"))
	one.Store(ctx, "b", make([]byte, largestReply+1))
	if v, ok := two.Load(ctx, "a"); !ok || string(v) != "second" {
		t.Errorf("another process loads %q, %v", v, ok)
	}
	if _, ok := two.Load(ctx, "b"); ok {
		t.Error("a reply larger than all is kept")
	}
	two.Forget(ctx)
	if _, ok := one.Load(ctx, "a"); ok {
		t.Error("what was forgotten is still there")
	}
	one.Store(ctx, "a", []byte("third"))
	mini.FastForward(repliesLife)
	if _, ok := one.Load(ctx, "a"); ok {
		t.Error("replies live for ever")
	}
	mini.Close()
	one.Store(ctx, "a", []byte("lost"))
	if _, ok := one.Load(ctx, "a"); ok {
		t.Error("without Redis a reply was found")
	}
}
