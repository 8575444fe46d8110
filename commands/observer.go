package commands

import (
	"context"
	"time"
)

// Observer is told what a Sequencer does, for metrics and traces. Every func may
// be nil and then costs nothing; none may block.
type Observer struct {
	// Start is called by Do. The context that it returns stands for the call from
	// then on, and end is called with the outcome that Do returns.
	Start func(ctx context.Context, cmds []Command) (called context.Context, end func(Receipt, error))
	// Committed is told of every call whose events have become durable, before
	// anybody who follows the log is. ctx is that of Start.
	Committed func(ctx context.Context, r Receipt)
	// Done is told of every command's kind and outcome, and the time since its
	// call came in; of ended leases, too.
	Done func(kind string, err error, took time.Duration)
}

// committed tells of the calls of a batch that caused events.
func (o *Observer) committed(batch []*call) {
	if o.Committed == nil {
		return
	}
	for _, c := range batch {
		if c.err == nil && len(c.receipt.Events) > 0 && !c.receipt.Repeated {
			o.Committed(c.ctx, c.receipt)
		}
	}
}

// done tells of the outcomes of a batch.
func (o *Observer) done(batch []*call) {
	if o.Done == nil {
		return
	}
	now := time.Now()
	for _, c := range batch {
		took := now.Sub(c.came)
		for _, cmd := range c.commands {
			o.Done(cmd.CommandType(), c.err, took)
		}
	}
}
