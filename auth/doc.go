// Package auth says who is asking: passwords, access tokens (JWT), refresh
// tokens with rotation, API tokens, one-time tickets for WebSockets, the setup
// token of a first start, and limits on guessing. What a principal may do on a
// board is events.EffectiveRole; this package supplies its arguments.
//
// It imports events, and nothing else of this module outside its tests. Secrets
// are stored as sums only, and Secret refuses to print itself.
//
//	key, err := auth.LoadOrCreateKey(dataDir, os.Getenv("SECRET_KEY"))
//	service, err := auth.New(auth.Config{Key: key, Reader: db.Reader()}, db, users)
//	err = service.Start(ctx)
//	defer service.Stop()
//
//	session, err := service.Login(ctx, name, password, remoteAddr)
//	principal, err := service.Authenticate(ctx, session.Access.Reveal())
//	role := events.EffectiveRole(member, principal.Admin, board.Visibility, board.ID, principal.Scope)
//
// # Revocation
//
// A verified token is remembered, so that most requests cost one SHA-256 and
// one look-up in memory. What is remembered is checked against the database
// again after Config.Recheck, and at once after Forget. Whoever revokes
// something in a transaction of its own calls Forget after the commit.
package auth
