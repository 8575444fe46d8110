// Package shared is what several processes of the server have in common when
// REDIS_URL is set: counts of limits, and encoded replies. Nothing depends on it
// for being right: without Redis, and whenever Redis does not answer, each process
// has its own counts and its own cache, which are always kept beside the shared
// ones. It imports nothing of ours.
//
//	s, err := shared.New(shared.Config{URL: "redis://localhost:6379/0", Logger: log})
//	s.Start(ctx) // also where Redis is away; Stop ends it
//	requests, err := s.NewLimiter("requests", shared.Limit{Burst: 200, Every: 600 * time.Millisecond}, 50_000)
//	if v := requests.Take(ctx, "user:7"); !v.Allowed {
//		return tooMany(v.Retry)
//	}
package shared
