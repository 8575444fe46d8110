// Package demo is a fleet of simulated agents that work on a board through the
// public API, as programs outside would: they claim, comment, send heartbeats,
// check criteria, show evidence and finish; some give up, some fall silent and
// lose their lease, and a reviewer approves or rejects.
//
// There are two ways to run it. World.Run is one scheduler with a clock of its
// own: it makes one call at a time, in an order that depends on Config.Seed
// alone, so that the same seed gives the same events (but for times and ids).
// Fleet.Run lets all agents loose at once, as fast as the server answers, and
// measures: that is what load tests use.
//
// It imports http/client, commands, events and readmodel, and knows nothing of
// the server but its address.
//
//	world, err := demo.Prepare(ctx, demo.Config{URL: url, SetupToken: token, Seed: 7, Review: true})
//	defer world.Close()
//	summary, err := world.Run(ctx, demo.Pace{Speed: 1, Event: print})
package demo
