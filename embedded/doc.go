// Package embedded runs a NATS server with JetStream inside this process. It
// knows nothing about what is sent through it and imports nothing of ours.
//
//	srv, err := embedded.New(embedded.Config{StoreDir: dataDir, Logger: logger})
//	err = srv.Start(ctx)
//	defer srv.Stop()
//
//	user, password := srv.Credentials()
//	conn, err := nats.Connect("", nats.InProcessServer(srv),
//		nats.UserInfo(user, password), nats.MaxReconnects(-1))
//
//	err = srv.Restart(ctx) // conn finds the new server by itself
//
// Connections go through memory. A port is opened only where Config.Listen asks
// for one, and only together with a password: those who come through it may
// publish to the subjects of Config.GuestPublish and to nothing else.
//
// Files lie in StoreDir/jetstream. Two servers on one StoreDir do not notice
// each other and damage it; keeping the second one out is up to the caller.
package embedded
