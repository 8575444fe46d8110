// Package monitor looks at a running server again and again, and raises an alert
// for what is wrong: once when it begins, once when it is over. It knows no part
// of the server; whoever starts it says what to look at. It imports ops/machine
// alone.
//
//	m, err := monitor.New(monitor.Config{
//		Every: 30 * time.Second, Logger: log,
//		Checks: []monitor.Check{
//			monitor.Disk("disk_data", dataDir),
//			{Name: "bus", Run: func(context.Context) (monitor.Finding, error) { … }},
//		},
//		Changed: func(a monitor.Alert) { … }, // the live feed, a webhook
//	})
//	m.Start()
//	defer m.Stop(ctx)
//
//	for _, a := range m.Alerts() { … }
//
// Each check has a goroutine of its own: one that hangs or panics becomes an
// alert itself and holds up no other.
package monitor
