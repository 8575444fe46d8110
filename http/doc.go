// Package http is the server's face: REST with an OpenAPI 3.1 document, the
// event feed over SSE and WebSocket, the docs page and the first pages of the
// browser. It owns listening, serving and closing, so that nobody else needs
// net/http.
//
// It imports events, commands, readmodel and auth; http/live is its WebSocket
// feed. What it needs from the rest
// of the house (the bus, the projections) it declares as small interfaces in
// deps.go.
//
//	srv, err := kanbanhttp.New(kanbanhttp.Config{Addr: "127.0.0.1:18000"}, kanbanhttp.Deps{
//		Commands: sequencer, Queries: queries, Auth: accounts, Log: store,
//		Watermark: watermark, Setup: setup, Timeline: timeline,
//		Subscribe: func(after int64) kanbanhttp.Subscription { return tail.Subscribe(after) },
//	})
//	err = srv.Start()
//	fmt.Println(srv.URL())
//	defer srv.Shutdown(ctx)
//
// The way of a write: the credential gives the actor, the Sequencer decides and
// appends, the handler waits until the projection holds the position and builds
// the reply from the decision's own result. The way of a read: wait for
// Kanban-Min-Position where it is given, check the role on the board, query.
package http
