package main

import (
	"context"
	"fmt"
	"time"
)

// clean waits until nothing is left of what was redacted up to a position: the
// read model was made anew, the stream too, and the database's files hold no
// byte of it.
func (s *server) clean(ctx context.Context, position int64) error {
	if err := s.watermark.Wait(ctx, position); err != nil {
		return fmt.Errorf("wait for the read model: %w", err)
	}
	if err := s.relay.Forgotten(ctx, position); err != nil {
		return fmt.Errorf("wait for the stream to be made anew: %w", err)
	}
	if err := s.db.Clean(ctx, position); err != nil {
		return err
	}
	s.logs.Log.Info("nothing is left of what was redacted", "position", position)
	return nil
}

// finishing bounds how long a start waits to finish a redaction.
const finishing = time.Minute

// finishRedaction goes on with a redaction that a crash or a full disk cut off.
// The read model and the stream do so by themselves: neither has got past it.
func (s *server) finishRedaction(ctx context.Context) error {
	position, err := s.db.Unclean(ctx)
	if err != nil || position == 0 {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, finishing)
	defer cancel()
	err = s.watermark.Wait(wait, position)
	if err == nil {
		err = s.db.Clean(wait, position)
	}
	if err != nil {
		s.logs.Log.Error("redacted text may be left in the database's files; the next start tries again", "position", position, "error", err)
	}
	return ctx.Err()
}
