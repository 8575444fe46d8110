// Package webhook sends the events of a board to addresses outside, signed after
// Standard Webhooks (https://www.standardwebhooks.com): in order, at least once,
// with retries, and dead letters for what was given up. DESIGN.md has the how.
//
// It imports events and auth. The log, the subscription that wakes it and the way
// to record that a webhook was switched off are small interfaces or functions
// that its caller supplies.
//
//	allow, err := webhook.ParseAllow([]string{"hooks.internal", "10.1.0.0/16"})
//	d, err := webhook.New(webhook.Config{
//		Reader: db.Reader(), DB: db, Log: db, Allow: allow, SwitchOff: record,
//		Subscribe: func(after int64) webhook.Subscription { return tail.Subscribe(after) },
//	})
//	err = d.Start(ctx)
//	defer d.Stop()
//	secret := webhook.NewSecret()
//	// in the transaction of the webhook_added event:
//	err = d.Insert(ctx, tx, webhook.Webhook{ID: 3, Board: 1, URL: url, Secret: secret})
package webhook
