package recover

import (
	"context"
	"iter"

	"github.com/agent-kanban/agent-kanban/events"
)

// Row is what a copy holds of one event. It is not believed before the chain
// has proven it.
type Row struct {
	Event events.Envelope
	// Lost says that the data did not survive although it was not redacted: the
	// rest of the event may still be good.
	Lost bool
	// Commands are the records of those that ended with the event, where the copy
	// has them.
	Commands []events.CommandRecord
}

// Source is a copy of the log, or a part of one, in any order and state.
type Source struct {
	// Name tells people what it is, such as "the stream's folder".
	Name string
	// Rows yields what can be read. An error is noted in the report and does not
	// end the source: it goes on with what comes after the damage.
	Rows func(ctx context.Context) iter.Seq2[Row, error]
}
