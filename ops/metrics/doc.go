// Package metrics counts what the server does, in the format of Prometheus. It
// has a registry of its own, so nothing global ends up on the page, and it knows
// nobody: the packages that are watched call the methods here through a func in
// their Config, and what can be asked is asked when somebody scrapes. Of ours it
// imports only events.
//
//	m, err := metrics.New(metrics.Config{Version: "v1.2.3"}, metrics.Sources{Head: tail.Head})
//	sequencer, err := commands.New(commands.Config{Observer: commands.Observer{Done: m.Command}})
//	http.Handle("/metrics", m.Handler())
//
// Names begin with kanban_, end with their unit, and have no ids among their
// labels: the number of series does not grow with the data. docs/metrics.md
// lists them.
package metrics
