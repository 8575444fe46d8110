package shared

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/maypok86/otter/v2"
	"golang.org/x/time/rate"
)

// Limit is a token bucket: Burst at once, then one per Every.
type Limit struct {
	Burst int
	Every time.Duration
}

func (l Limit) validate() error {
	if l.Burst < 1 || l.Every <= 0 {
		return errors.New("a limit needs a burst and an interval")
	}
	return nil
}

// Window is the time in which the whole burst comes back.
func (l Limit) Window() time.Duration { return time.Duration(l.Burst) * l.Every }

// Verdict is the answer to one request.
type Verdict struct {
	Allowed   bool
	Remaining int           // that are still allowed now
	Reset     time.Duration // until all of the burst is back
	Retry     time.Duration // until the next is allowed; 0 where this one was
}

// stricter returns what both allow.
func stricter(a, b Verdict) Verdict {
	return Verdict{
		Allowed: a.Allowed && b.Allowed, Remaining: min(a.Remaining, b.Remaining),
		Reset: max(a.Reset, b.Reset), Retry: max(a.Retry, b.Retry),
	}
}

// Limiter counts per key, in this process and, where it is there, in Redis: both
// must allow. So a process that loses Redis knows what its callers have used up,
// and one that finds it again starts nobody anew.
//
// The buckets of this process are bounded in number. The cache that holds them
// keeps what is asked for often, so that a caller who hammers stays counted while
// a million others pass by once; whoever has so many addresses had as many bursts
// to begin with.
type Limiter struct {
	shared  *Shared
	name    string
	limit   Limit
	buckets *otter.Cache[string, *rate.Limiter]
}

// NewLimiter returns a Limiter with at most maxKeys buckets here. Processes count
// together under the same name.
func (s *Shared) NewLimiter(name string, limit Limit, maxKeys int) (*Limiter, error) {
	if err := limit.validate(); err != nil {
		return nil, fmt.Errorf("limit of %s: %w", name, err)
	}
	// No expiry: it would start a goroutine that nobody stops.
	buckets, err := otter.New(&otter.Options[string, *rate.Limiter]{
		MaximumSize: maxKeys, Executor: func(fn func()) { fn() },
	})
	if err != nil {
		return nil, fmt.Errorf("limit of %s: %w", name, err)
	}
	return &Limiter{shared: s, name: name, limit: limit, buckets: buckets}, nil
}

// Take counts one request of the key. A request that is not allowed counts
// nothing here.
func (l *Limiter) Take(ctx context.Context, key string) Verdict {
	v := l.take(l.shared.cfg.Now(), key)
	if !v.Allowed {
		return v
	}
	if all, ok := l.shared.Count(ctx, l.name, key, l.limit, 1); ok {
		v = stricter(v, all)
	}
	return v
}

func (l *Limiter) take(now time.Time, key string) Verdict {
	b, ok := l.buckets.GetIfPresent(key)
	if !ok {
		b, _ = l.buckets.SetIfAbsent(key, rate.NewLimiter(rate.Every(l.limit.Every), l.limit.Burst))
	}
	allowed := b.AllowN(now, 1)
	left := b.TokensAt(now)
	v := Verdict{
		Allowed: allowed, Remaining: max(int(left), 0),
		Reset: time.Duration((float64(l.limit.Burst) - left) * float64(l.limit.Every)),
	}
	if !allowed {
		v.Retry = max(time.Duration(math.Ceil((1-left)*float64(l.limit.Every))), 1)
	}
	return v
}

// Count takes n tokens of a bucket in Redis, for those who keep their own counts.
// counted is false where Redis is not there, at once; what the caller's own count
// says goes then. A negative n gives tokens back.
func (s *Shared) Count(ctx context.Context, name, key string, limit Limit, n int) (v Verdict, counted bool) {
	counted = s.call(ctx, func(ctx context.Context) error {
		// What people type as their name may be anything, a password included.
		sum := sha256.Sum256([]byte(key))
		r, err := s.rate.AllowN(ctx, s.cfg.Prefix+"limit:"+name+":"+hex.EncodeToString(sum[:16]), redis_rate.Limit{
			Rate: limit.Burst, Burst: limit.Burst, Period: limit.Window(),
		}, n)
		if err == nil {
			v = Verdict{Allowed: n <= 0 || r.Allowed > 0, Remaining: r.Remaining, Reset: r.ResetAfter, Retry: max(r.RetryAfter, 0)}
		}
		return err
	})
	return v, counted
}
