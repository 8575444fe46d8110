// Package live is the WebSocket feed: who is connected, what they subscribe to,
// and how events reach them. A frame goes out once the read model holds its
// event, is encoded once for everybody, and a slow client is disconnected and
// resumes by position: it never holds up the others and never misses anything
// silently.
//
// It imports events, commands (for Ref) and auth.
//
//	feed, err := live.New(live.Config{OriginAllowed: sameOrigin, Refuse: answer}, live.Deps{
//		Log: store, Watermark: watermark, Boards: boards, Credentials: accounts,
//		Subscribe: func(after int64) live.Subscription { return tail.Subscribe(after) },
//	})
//	err = feed.Start()
//	defer feed.Stop(ctx)
//	mux.HandleFunc("/ws/connect", func(w http.ResponseWriter, r *http.Request) {
//		_ = feed.Serve(w, r, principalOf(r))
//	})
package live
