package auth

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/agent-kanban/agent-kanban/events"
)

// maxAccount bounds the user names that are worth a look-up, in bytes.
const maxAccount = 256

// limiter is a token bucket per key. It is bounded, and fails closed: keys that
// find it full share one bucket, so that filling it buys nobody free attempts.
// An evicting cache would do the opposite.
type limiter struct {
	limit Limit
	max   int

	mu       sync.Mutex
	buckets  map[string]*rate.Limiter
	overflow *rate.Limiter
	swept    time.Time
}

func newLimiter(limit Limit, maxKeys int) *limiter {
	return &limiter{
		limit: limit, max: maxKeys, buckets: make(map[string]*rate.Limiter),
		overflow: rate.NewLimiter(limit.rate(), limit.Burst),
	}
}

// take uses one token of the key's bucket and returns how to give it back. With
// none left it takes nothing and returns how long to wait.
func (l *limiter) take(now time.Time, key string) (refund func(), wait time.Duration) {
	r := l.of(now, key).ReserveN(now, 1)
	if !r.OK() {
		return nil, l.limit.Every
	}
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return nil, wait
	}
	return func() { r.CancelAt(now) }, 0
}

func (l *limiter) of(now time.Time, key string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bucket(now, key)
}

// bucket is called with mu held.
func (l *limiter) bucket(now time.Time, key string) *rate.Limiter {
	if b, ok := l.buckets[key]; ok {
		return b
	}
	pause := l.limit.Every
	if len(l.buckets) >= l.max {
		pause = time.Second
	}
	if now.Sub(l.swept) >= pause {
		l.swept = now
		for k, b := range l.buckets { // a full bucket is the same as none
			if b.TokensAt(now) >= float64(l.limit.Burst) {
				delete(l.buckets, k)
			}
		}
	}
	if len(l.buckets) >= l.max {
		return l.overflow
	}
	b := rate.NewLimiter(l.limit.rate(), l.limit.Burst)
	l.buckets[key] = b
	return b
}

// Shared counts for all processes of the server together.
type Shared interface {
	// Take takes n tokens from the bucket of a key, or gives -n back, and returns
	// how long to wait where there are not so many; 0 = they were taken. Where
	// nothing shared can be reached it returns 0, at once.
	Take(ctx context.Context, bucket, key string, limit Limit, n int) (wait time.Duration)
}

// takeBoth takes one token here and one of what all processes share: both must
// have one.
func (s *Service) takeBoth(ctx context.Context, l *limiter, bucket, key string) (refund func(), wait time.Duration) {
	own, wait := l.take(s.cfg.Now(), key)
	if wait > 0 || s.cfg.Shared == nil {
		return own, wait
	}
	if wait = s.cfg.Shared.Take(ctx, bucket, key, l.limit, 1); wait > 0 {
		own()
		return nil, wait
	}
	return func() {
		own()
		s.cfg.Shared.Take(context.WithoutCancel(ctx), bucket, key, l.limit, -1)
	}, 0
}

// AllowRegistration counts one registration from the address and returns
// CodeRateLimited after too many: 5, then 5 an hour.
func (s *Service) AllowRegistration(ctx context.Context, address string) error {
	if _, wait := s.takeBoth(ctx, s.registrations, "registration", AddressKey(address)); wait > 0 {
		return limited("Too many accounts were registered from your address.", wait)
	}
	return nil
}

// chargeLogin counts a login that is about to be tried. refund takes it back:
// only failures are meant to count, but a charge after the answer would let any
// number of guesses run at once.
func (s *Service) chargeLogin(ctx context.Context, account, address string) (refund func(), err error) {
	refundAddress, wait := s.takeBoth(ctx, s.byAddress, "login-address", AddressKey(address))
	if wait > 0 {
		return nil, limited("Too many failed logins from your address.", wait)
	}
	if len(account) > maxAccount {
		account = account[:maxAccount]
	}
	refundAccount, wait := s.takeBoth(ctx, s.byAccount, "login-account", strings.ToLower(strings.TrimSpace(account)))
	if wait > 0 {
		return nil, limited("Too many failed logins to this account.", wait)
	}
	return func() { refundAddress(); refundAccount() }, nil
}

// limited is the error of a limit that was reached.
func limited(what string, wait time.Duration) *events.Error {
	wait = max(wait.Round(time.Second), time.Second)
	return &events.Error{
		Code: events.CodeRateLimited, Message: fmt.Sprintf("%s Try again in %s.", what, wait), RetryAfter: wait,
	}
}

// AddressKey returns what counts as one address: an IPv4 address, or the /64 network
// that one IPv6 subscriber owns whole. Whatever cannot be read is one key.
func AddressKey(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	if ip = ip.Unmap().WithZone(""); ip.Is4() {
		return ip.String()
	}
	network, err := ip.Prefix(64)
	if err != nil {
		return ""
	}
	return network.String()
}
