package shared

import (
	"context"
	"time"
)

// repliesLife is how long replies are kept from the last one that was stored.
const repliesLife = 10 * time.Minute

// largestReply bounds what is worth the way to Redis and back.
const largestReply = 1 << 20

// Replies are what one process has made and another can use: one per name, the
// last one. Whoever stores says in it what it is good for; Redis is not asked to
// know. It is all in one place, so that Forget leaves nothing.
type Replies struct{ shared *Shared }

// Replies returns the replies of all processes, nil where no Redis is configured.
func (s *Shared) Replies() *Replies {
	if s.rdb == nil {
		return nil
	}
	return &Replies{s}
}

func (r *Replies) key() string { return r.shared.cfg.Prefix + "replies" }

// Load returns the reply stored under a name; false where there is none, or where
// Redis is away.
func (r *Replies) Load(ctx context.Context, name string) (value []byte, found bool) {
	found = r.shared.call(ctx, func(ctx context.Context) (err error) {
		value, err = r.shared.rdb.HGet(ctx, r.key(), name).Bytes()
		return err
	})
	return value, found
}

// Store keeps a reply for the other processes, if Redis is there.
func (r *Replies) Store(ctx context.Context, name string, value []byte) {
	if len(value) > largestReply {
		return
	}
	r.shared.call(ctx, func(ctx context.Context) error {
		p := r.shared.rdb.Pipeline()
		p.HSet(ctx, r.key(), name, value)
		p.Expire(ctx, r.key(), repliesLife)
		_, err := p.Exec(ctx)
		return err
	})
}

// Forget drops them all: something in them is not to be seen any more.
func (r *Replies) Forget(ctx context.Context) {
	r.shared.call(ctx, func(ctx context.Context) error { return r.shared.rdb.Del(ctx, r.key()).Err() })
}
