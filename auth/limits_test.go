package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

func retryAfter(err error) time.Duration {
	var e *events.Error
	if errors.As(err, &e) {
		return e.RetryAfter
	}
	return 0
}

func TestLoginIsLimitedPerAccount(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *Config) { c.LoginsPerAccount = Limit{Burst: 3, Every: 30 * time.Second} })
	f.givePassword(t, bob)
	for i := range 10 { // successes do not count
		if _, err := f.Login(t.Context(), "bob", password, "192.0.2.1"); err != nil {
			t.Fatalf("login %d: %v", i, err)
		}
	}
	for i := range 3 { // other spellings and addresses are the same account
		_, err := f.Login(t.Context(), strings.Repeat(" ", i)+"Bob", "wrong password", fmt.Sprintf("192.0.2.%d", i))
		mustBe(t, "wrong password", err, events.CodeUnauthenticated, "")
	}
	_, err := f.Login(t.Context(), "bob", password, "192.0.2.9")
	mustBe(t, "after three failures", err, events.CodeRateLimited, "to this account. Try again in 30s")
	if got := retryAfter(err); got != 30*time.Second {
		t.Errorf("RetryAfter %v, want 30s", got)
	}
	_, err = f.Login(t.Context(), "nobody", password, "192.0.2.9")
	mustBe(t, "another account", err, events.CodeUnauthenticated, "")
	f.clock.advance(30 * time.Second)
	_, err = f.Login(t.Context(), "bob", password, "192.0.2.9")
	noError(t, err)
}

func TestLoginIsLimitedPerAddress(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *Config) { c.LoginsPerAddress = Limit{Burst: 2, Every: time.Minute} })
	for i := range 2 {
		_, err := f.Login(t.Context(), fmt.Sprintf("user%d", i), "wrong password", fmt.Sprintf("[2001:db8::%d]:80", i))
		mustBe(t, "wrong password", err, events.CodeUnauthenticated, "")
	}
	_, err := f.Login(t.Context(), "user9", "wrong password", "2001:db8::ffff")
	mustBe(t, "the same network", err, events.CodeRateLimited, "from your address")
	_, err = f.Login(t.Context(), "user9", "wrong password", "2001:db8:1::1")
	mustBe(t, "another network", err, events.CodeUnauthenticated, "")
}

func TestRegistrationsAreFiveAnHour(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for i := range 5 {
		if err := f.AllowRegistration(t.Context(), "192.0.2.1:99"); err != nil {
			t.Fatalf("registration %d: %v", i, err)
		}
	}
	err := f.AllowRegistration(t.Context(), "192.0.2.1")
	mustBe(t, "the sixth", err, events.CodeRateLimited, "Too many accounts")
	if got := retryAfter(err); got != 12*time.Minute {
		t.Errorf("RetryAfter %v, want 12m", got)
	}
	noError(t, f.AllowRegistration(t.Context(), "192.0.2.2"))
	f.clock.advance(12 * time.Minute)
	noError(t, f.AllowRegistration(t.Context(), "192.0.2.1"))
	mustBe(t, "the seventh", f.AllowRegistration(t.Context(), "192.0.2.1"), events.CodeRateLimited, "")
}

func TestFullLimiterFailsClosed(t *testing.T) {
	t.Parallel()
	now := time.Date(2025, 8, 20, 12, 0, 0, 0, time.UTC)
	l := newLimiter(Limit{Burst: 2, Every: time.Minute}, 3)
	allowed := 0
	for i := range 100 {
		for range 2 {
			if _, wait := l.take(now, fmt.Sprint(i)); wait == 0 {
				allowed++
			}
		}
	}
	if allowed != 3*2+2 || len(l.buckets) != 3 {
		t.Errorf("%d takes by 100 keys in %d buckets, want 8: three buckets and the shared one", allowed, len(l.buckets))
	}
	now = now.Add(2 * time.Minute) // all buckets are full again, so they make room
	if _, wait := l.take(now, "new"); wait != 0 || len(l.buckets) != 1 {
		t.Errorf("after a while: wait %v with %d buckets, want none with 1", wait, len(l.buckets))
	}
}

func TestAddressKey(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "192.0.2.1:80": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1",
		"2001:db8::1": "2001:db8::/64", "[2001:db8::1]:80": "2001:db8::/64", "fe80::1%eth0": "fe80::/64",
		"": "", "@": "", "example.com": "",
	} {
		if got := AddressKey(address); got != want {
			t.Errorf("AddressKey(%q) = %q, want %q", address, got, want)
		}
	}
}

// fakeShared is what processes share: a count per bucket and key.
type fakeShared struct{ taken map[string]int }

func (s fakeShared) Take(_ context.Context, bucket, key string, limit Limit, n int) time.Duration {
	k := bucket + " " + key
	if s.taken[k]+n > limit.Burst {
		return 7 * time.Second
	}
	s.taken[k] += n
	return 0
}

// TestLimitsAreShared: what one process has counted another one refuses, although
// it has seen nothing itself; and a success gives back what it took.
func TestLimitsAreShared(t *testing.T) {
	t.Parallel()
	common := fakeShared{map[string]int{}}
	process := func() *fixture {
		f := setup(t, func(c *Config) {
			c.Shared = common
			c.LoginsPerAccount = Limit{Burst: 2, Every: 30 * time.Second}
		})
		f.givePassword(t, bob)
		return f
	}
	one, two := process(), process()
	for range 5 {
		_, err := one.Login(t.Context(), "bob", password, "192.0.2.1")
		noError(t, err)
	}
	for range 2 {
		_, err := one.Login(t.Context(), "bob", "wrong password", "192.0.2.1")
		mustBe(t, "wrong password", err, events.CodeUnauthenticated, "")
	}
	_, err := two.Login(t.Context(), "bob", password, "192.0.2.2")
	mustBe(t, "in another process", err, events.CodeRateLimited, "Try again in 7s")
	for range 3 {
		noError(t, one.AllowRegistration(t.Context(), "192.0.2.1"))
	}
	for range 2 {
		noError(t, two.AllowRegistration(t.Context(), "192.0.2.1"))
	}
	mustBe(t, "the sixth", two.AllowRegistration(t.Context(), "192.0.2.1"), events.CodeRateLimited, "")
	// What is shared may know less, after a restart of Redis: this process's own
	// counts hold all the same.
	clear(common.taken)
	_, err = one.Login(t.Context(), "bob", password, "192.0.2.1")
	mustBe(t, "after redis forgot", err, events.CodeRateLimited, "")
}
