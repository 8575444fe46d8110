// Package tracing follows a request through the server, for OpenTelemetry: a
// span for the request, one for its command, one for the rows that follow from
// it, and the trace's name on the event's message on the bus. Of ours it imports
// events and commands; the packages that are followed call the funcs that a
// Tracer gives them.
//
//	t, err := tracing.Start(ctx, tracing.Config{Endpoint: "http://localhost:4318", Version: "v1.2.3"})
//	defer t.Stop()
//	start, committed := t.Commands()
//	sequencer, err := commands.New(commands.Config{Observer: commands.Observer{Start: start, Committed: committed}})
//
// A nil *Tracer is tracing switched off: its funcs are nil, so nothing is called
// and nothing allocated. A collector that is slow or away costs the spans of that
// time and a warning; it never holds up a request, nor the stop by more than two
// seconds.
//
// # What a span tells
//
// Patterns of routes, types of commands, positions, counts and codes. No titles,
// names, tokens or paths: traces are read by more people than boards.
package tracing
