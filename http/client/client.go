package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/agent-kanban/agent-kanban/commands"
)

// Config says where the server is and how to speak to it.
type Config struct {
	// URL is the server's address: "http://127.0.0.1:18000". A path is kept, for
	// servers behind a proxy.
	URL string
	// Token is an access token or an API token; empty for calls that need none.
	Token string
	// HTTP carries the requests; nil = a client of its own without a time-out of
	// the whole exchange, because Follow stays open.
	HTTP *http.Client
	// Timeout bounds one attempt of an ordinary call; 0 = 30 s. A call that waits
	// on purpose (ClaimNext) gets that much on top.
	Timeout time.Duration
	// Retries is how often an attempt that broke on the way, or was answered
	// with 429, 502, 503 or 504, is repeated; 0 = 3, negative = never.
	Retries int
	// Backoff is the first wait between attempts, doubled each time up to 5 s;
	// 0 = 100 ms.
	Backoff time.Duration
	// UserAgent names the program in the server's access log.
	UserAgent string
}

func (c Config) withDefaults() Config {
	if c.HTTP == nil {
		c.HTTP = &http.Client{}
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	if c.Retries == 0 {
		c.Retries = 3
	}
	if c.Backoff == 0 {
		c.Backoff = 100 * time.Millisecond
	}
	if c.UserAgent == "" {
		c.UserAgent = "kanban-client"
	}
	return c
}

// Client is a server seen from outside. It is safe for concurrent use.
type Client struct {
	cfg  Config
	base *url.URL
}

// New checks the configuration. It does not connect.
func New(cfg Config) (*Client, error) {
	base, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("server address: %w", err)
	}
	if base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, fmt.Errorf("server address %q: want http://HOST:PORT or https://HOST", cfg.URL)
	}
	base.Path = strings.TrimSuffix(base.Path, "/")
	return &Client{cfg: cfg.withDefaults(), base: base}, nil
}

// URL is the address of the server.
func (c *Client) URL() string { return c.base.String() }

// UnreachableError means that no server answered at all.
type UnreachableError struct {
	URL string
	Err error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no answer from %s: %v", e.URL, e.Err)
}

// Unwrap returns the error of the connection.
func (e *UnreachableError) Unwrap() error { return e.Err }

// request is one call before it is sent.
type request struct {
	method  string
	path    string // below the base, escaped
	query   url.Values
	body    any    // JSON, nil = none
	ifMatch *int64 // version the caller saw
	token   string // instead of the client's
	// waits is how long the server may take on purpose, on top of the ordinary
	// time of one attempt.
	waits time.Duration
}

// get asks for path and decodes the reply.
func get[T any](ctx context.Context, c *Client, query url.Values, path ...string) (T, error) {
	var out T
	err := c.do(ctx, request{method: http.MethodGet, path: join(path...), query: query}, &out)
	return out, err
}

// send writes and decodes the reply.
func send[T any](ctx context.Context, c *Client, method string, body any, path ...string) (T, error) {
	var out T
	err := c.do(ctx, request{method: method, path: join(path...), body: body}, &out)
	return out, err
}

// join escapes each part, so that a key with a slash stays one part.
func join(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(p))
	}
	return b.String()
}

func ref(r commands.Ref) string { return string(r) }

// do sends the request, again where that is safe and promising, and decodes a
// successful reply into out (nil = ignore it). Every write has one
// Idempotency-Key for all its attempts: that is what makes repeating it safe.
func (c *Client) do(ctx context.Context, r request, out any) error {
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return fmt.Errorf("%s %s: %w", r.method, r.path, err)
		}
	}
	key := ""
	if r.method != http.MethodGet {
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("%s %s: %w", r.method, r.path, err)
		}
		key = id.String()
	}
	backoff := c.cfg.Backoff
	for attempt := 0; ; attempt++ {
		again, err := c.attempt(ctx, r, body, key, out)
		if err == nil || again < 0 || attempt >= c.cfg.Retries {
			return err
		}
		// Full jitter: clients that were cut off together come back apart.
		wait := max(again, backoff/2+rand.N(backoff/2+1))
		backoff = min(2*backoff, maxWait)
		if wait > maxRetryAfter {
			return err
		}
		if sleep(ctx, wait); ctx.Err() != nil {
			return err
		}
	}
}

const (
	maxWait       = 5 * time.Second
	maxRetryAfter = 10 * time.Second
	maxReply      = 64 << 20 // a reply larger than this is not one of ours
)

// attempt sends the request once. again is how long to wait at least before the
// next attempt, negative when there must be none.
func (c *Client) attempt(ctx context.Context, r request, body []byte, key string, out any) (again time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout+r.waits)
	defer cancel()
	req, err := c.newRequest(ctx, r, body)
	if err != nil {
		return -1, err
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := c.cfg.HTTP.Do(req)
	if err != nil {
		return c.broken(ctx, err)
	}
	defer res.Body.Close()
	reply, err := io.ReadAll(io.LimitReader(res.Body, maxReply))
	if err != nil {
		return c.broken(ctx, err)
	}
	if res.StatusCode >= 400 {
		return retryAfter(res), problem(res, reply)
	}
	if out == nil || len(reply) == 0 {
		return 0, nil
	}
	if err := json.Unmarshal(reply, out); err != nil {
		return -1, fmt.Errorf("%s %s: reply is not what this program expects: %w", r.method, r.path, err)
	}
	return 0, nil
}

func (c *Client) newRequest(ctx context.Context, r request, body []byte) (*http.Request, error) {
	target := c.base.String() + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.method, r.path, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.cfg.UserAgent)
	if token := r.token; token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	} else if c.cfg.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.cfg.Token)
	}
	if r.ifMatch != nil {
		req.Header.Set("If-Match", `"v`+strconv.FormatInt(*r.ifMatch, 10)+`"`)
	}
	return req, nil
}

// broken tells an exchange that broke on the way from one that the caller ended
// or that will never succeed.
func (c *Client) broken(ctx context.Context, err error) (time.Duration, error) {
	if errors.Is(ctx.Err(), context.Canceled) {
		return -1, ctx.Err()
	}
	unreachable := &UnreachableError{URL: c.URL(), Err: cause(err)}
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return -1, unreachable
	}
	return 0, unreachable
}

// cause takes off the *url.Error, whose text repeats method and address.
func cause(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// retryAfter reads how long the server asks to wait; negative = do not repeat.
func retryAfter(res *http.Response) time.Duration {
	switch res.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
	default:
		return -1
	}
	if s, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && s >= 0 {
		return time.Duration(s) * time.Second
	}
	return 0
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
