package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/agent-kanban/agent-kanban/auth"
)

// Bounds of one attempt.
const (
	connectTimeout = 5 * time.Second
	wholeTimeout   = 15 * time.Second
	// keptReply is how much of a reply is kept with an error, in bytes.
	keptReply = 500
	// maxDrain is how much of a reply is read so that its connection can be used
	// again.
	maxDrain = 64 << 10
)

// Outcome is how an attempt went.
type Outcome struct {
	Status     int           // of the reply, 0 = there was none
	Error      string        // "" = delivered
	RetryAfter time.Duration // what the receiver asked for, 0 = nothing
	Took       time.Duration
}

// OK reports whether the receiver has taken the message.
func (o Outcome) OK() bool { return o.Error == "" }

// absent reports whether another message had the same chance: the receiver was
// not there or had no time.
func (o Outcome) absent() bool {
	return !o.OK() && (o.Status == 0 || o.Status == http.StatusTooManyRequests || o.Status >= 500)
}

// sender makes attempts. Its connections go to public addresses, and to those
// that the operator allows.
type sender struct {
	allow  Allow
	agent  string
	now    func() time.Time
	dialer net.Dialer // Resolver and Timeout
	client *http.Client
	whole  time.Duration
}

func newSender(c Config) *sender {
	s := &sender{
		allow: c.Allow, agent: c.UserAgent, now: c.Now, whole: wholeTimeout,
		dialer: net.Dialer{Timeout: connectTimeout, Resolver: c.Resolver},
	}
	s.client = &http.Client{
		Transport: &http.Transport{
			// Proxy stays nil: through one, the address could not be judged.
			DialContext:            s.dial,
			TLSHandshakeTimeout:    connectTimeout,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.RootCAs},
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			MaxIdleConnsPerHost:    2,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		},
		// A redirect would go where nobody has checked.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s
}

// dial connects to a target. The address is judged when the socket is about to
// be connected, after its name was resolved for the last time: a name that
// answers differently on the second look gains nothing.
func (s *sender) dial(ctx context.Context, network, target string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		return nil, err
	}
	d := s.dialer
	if !s.allow.named(host, port) {
		d.Control = s.judge
	}
	return d.DialContext(ctx, network, target)
}

// judge is net.Dialer.Control.
func (s *sender) judge(_, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return errPrivate // not an internet address at all
	}
	if addr := target.Addr(); !public(addr) && !s.allow.network(addr) {
		return errPrivate
	}
	return nil
}

// send makes one attempt. Its outcome is the receiver's fault unless ctx has
// ended; it never has the address in it, which may hold a secret.
func (s *sender) send(ctx context.Context, address auth.Secret, secrets []auth.Secret, id string, body []byte) Outcome {
	began := s.now()
	out := s.try(ctx, address, secrets, id, body)
	out.Took = s.now().Sub(began)
	return out
}

func (s *sender) try(ctx context.Context, address auth.Secret, secrets []auth.Secret, id string, body []byte) Outcome {
	ctx, cancel := context.WithTimeout(ctx, s.whole)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address.Reveal(), bytes.NewReader(body))
	if err != nil {
		return Outcome{Error: "the url cannot be used"}
	}
	if err := s.allow.checkTarget(req.URL); err != nil {
		return Outcome{Error: "the url " + err.Error()}
	}
	if err := sign(req.Header, id, s.now(), body, secrets); err != nil {
		return Outcome{Error: err.Error()}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", s.agent)
	res, err := s.client.Do(req)
	if err != nil {
		return Outcome{Error: describe(err)}
	}
	defer res.Body.Close()
	out := Outcome{Status: res.StatusCode}
	if res.StatusCode/100 == 2 {
		_, _ = io.CopyN(io.Discard, res.Body, maxDrain)
		return out
	}
	out.Error = strings.TrimSpace(fmt.Sprintf("the receiver answered %d %s", res.StatusCode, http.StatusText(res.StatusCode)))
	if res.StatusCode/100 == 3 {
		out.Error += "; redirects are not followed"
	}
	reply, _ := io.ReadAll(io.LimitReader(res.Body, keptReply+maxURL))
	if text := plain(scrub(reply, req.URL)); text != "" {
		out.Error += ": " + text
	}
	if res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable {
		out.RetryAfter = retryAfter(res.Header.Get("Retry-After"), s.now())
	}
	return out
}

// close lets go of idle connections.
func (s *sender) close() { s.client.CloseIdleConnections() }

// describe says what went wrong on the way without repeating the address.
func describe(err error) string {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.Is(err, errPrivate):
		return "the url " + errPrivate.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no reply within %s", wholeTimeout)
	case errors.As(err, &dns) && dns.IsNotFound:
		return "the host has no address"
	case errors.As(err, &dns):
		return "the host's address cannot be looked up"
	case errors.As(err, &op) && op.Timeout():
		return "the connection timed out"
	case errors.As(err, &op):
		return "the connection failed: " + plain([]byte(op.Err.Error()))
	default:
		return plain([]byte(err.Error()))
	}
}

// plain makes text of others fit for a line of an error.
func plain(text []byte) string {
	text = text[:min(len(text), keptReply)]
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(text), "")))
}

// scrub takes the address out of a reply: "Cannot POST /hooks/T0P53CR3T" is what
// many servers say.
func scrub(reply []byte, u *url.URL) []byte {
	parts := []string{u.RequestURI(), u.EscapedPath(), u.Path, u.RawQuery}
	for name, values := range u.Query() {
		parts = append(append(parts, name), values...)
	}
	parts = append(parts, strings.Split(u.Path, "/")...)
	for _, part := range parts {
		if len(part) >= 6 { // shorter is no secret, and may be any word
			reply = bytes.ReplaceAll(reply, []byte(part), []byte("…"))
		}
	}
	return reply
}

// retryAfter reads seconds or a date.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(strings.TrimSpace(header)); err == nil {
		return time.Duration(min(max(seconds, 0), int(maxRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}

// maxRetryAfter bounds what a receiver may ask for.
const maxRetryAfter = 24 * time.Hour
