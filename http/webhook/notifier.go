package webhook

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/agent-kanban/agent-kanban/auth"
)

// NotifierBackoff are the waits after the first, second, … failed attempt of a
// Notifier: a message is given up after about thirteen minutes. What it has to
// tell is of no use much later.
var NotifierBackoff = []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute}

// waiting bounds the messages that a Notifier keeps while its receiver is away.
const waiting = 64

// NotifierConfig is what a Notifier needs. URL is required.
type NotifierConfig struct {
	URL    auth.Secret
	Secret auth.Secret // signs, as those of webhooks do; zero = messages are not signed
	Allow  Allow       // targets that may be private or without TLS; none

	Backoff   []time.Duration // NotifierBackoff
	UserAgent string          // "Agent-Kanban-Webhook"
	Logger    *slog.Logger    // discards

	// For tests: the clock, waiting, names and roots.
	Now      func() time.Time
	Sleep    func(ctx context.Context, d time.Duration) error
	Resolver *net.Resolver
	RootCAs  *x509.CertPool
}

// Notifier sends messages that are no events of the log to one address: in the
// order in which they came, with a bounded number of attempts.
type Notifier struct {
	config  NotifierConfig
	sender  *sender
	secrets []auth.Secret
	queue   chan notification

	life    sync.Mutex // Start and Stop
	cancel  context.CancelFunc
	stopped bool
	task    sync.WaitGroup
}

type notification struct {
	id   string
	body []byte
}

// CheckSecret returns an error that does not repeat the secret where it is none
// that can sign: whsec_ and at least 24 bytes in base64, as Standard Webhooks
// wants it.
func CheckSecret(secret string) error {
	text, prefixed := strings.CutPrefix(secret, secretPrefix)
	if key, err := base64.StdEncoding.DecodeString(text); err != nil || !prefixed || len(key) < 24 {
		return errors.New(`is no signing secret: want whsec_ and, behind it, the output of "openssl rand -base64 32"`)
	}
	return nil
}

// NewNotifier checks the config: the address as Allow.Check does, the secret as
// CheckSecret. Nothing runs before Start.
func NewNotifier(c NotifierConfig) (*Notifier, error) {
	base := Config{Allow: c.Allow, UserAgent: c.UserAgent, Logger: c.Logger, Now: c.Now, Sleep: c.Sleep, Resolver: c.Resolver, RootCAs: c.RootCAs}.withDefaults()
	c.Logger, c.Now, c.Sleep = base.Logger, base.Now, base.Sleep
	if c.Backoff == nil {
		c.Backoff = NotifierBackoff
	}
	n := &Notifier{config: c, sender: newSender(base), queue: make(chan notification, waiting)}
	if _, err := c.Allow.Check(c.URL.Reveal()); err != nil {
		return nil, fmt.Errorf("notifier: %w", err)
	}
	if !c.Secret.IsZero() {
		if err := CheckSecret(c.Secret.Reveal()); err != nil {
			return nil, fmt.Errorf("notifier: the secret %w", err)
		}
		n.secrets = []auth.Secret{c.Secret}
	}
	return n, nil
}

// Start begins to send. It does nothing the second time and after Stop.
func (n *Notifier) Start() {
	n.life.Lock()
	defer n.life.Unlock()
	if n.cancel != nil || n.stopped {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	n.task.Go(func() { n.run(ctx) })
}

// Stop ends the attempt under way; what waits is not sent. It is safe twice and
// before Start.
func (n *Notifier) Stop() {
	n.life.Lock()
	defer n.life.Unlock()
	n.stopped = true
	if n.cancel != nil {
		n.cancel()
	}
	n.task.Wait()
	n.sender.close()
}

// Send takes a JSON body to be sent under id, which stays the same over the
// attempts. It never blocks: where too many wait, the message is lost, and the
// log says so.
func (n *Notifier) Send(id string, body []byte) {
	select {
	case n.queue <- notification{id, body}:
	default:
		n.config.Logger.Error("a message was not sent: too many wait for its receiver", "id", id)
	}
}

func (n *Notifier) run(ctx context.Context) {
	for {
		select {
		case m := <-n.queue:
			n.deliver(ctx, m)
		case <-ctx.Done():
			return
		}
	}
}

func (n *Notifier) deliver(ctx context.Context, m notification) {
	for attempt := 0; ; attempt++ {
		out := n.sender.send(ctx, n.config.URL, n.secrets, m.id, m.body)
		switch {
		case out.OK() || ctx.Err() != nil:
			return
		case attempt == len(n.config.Backoff):
			n.config.Logger.Error("a message was given up", "id", m.id, "attempts", attempt+1, "status", out.Status, "reason", out.Error)
			return
		}
		n.config.Logger.Warn("a message was not taken; it is sent again", "id", m.id, "attempt", attempt+1, "status", out.Status, "reason", out.Error)
		if n.config.Sleep(ctx, max(n.config.Backoff[attempt], min(out.RetryAfter, time.Hour))) != nil {
			return
		}
	}
}
