package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/client"
)

// metadataPath is where RFC 9728 wants to find what protects a resource.
const metadataPath = "/.well-known/oauth-protected-resource"

// Handler returns what makes the handler of /mcp and of its metadata out of the
// server's own handler, which the tools call with the caller's credential. It
// keeps no sessions: any replica answers any request.
func Handler(cfg Config) (func(api http.Handler) http.Handler, error) {
	cfg = cfg.withDefaults()
	// The SDK's own protection is off unless asked for.
	origins := http.NewCrossOriginProtection()
	for _, o := range cfg.Origins {
		if err := origins.AddTrustedOrigin(o); err != nil {
			return nil, fmt.Errorf("mcp: origin %q: %w", o, err)
		}
	}
	server, err := newServer(cfg, func(ctx context.Context) (*session, error) {
		c, ok := ctx.Value(callerKey{}).(*caller)
		if !ok {
			return nil, errInternal
		}
		return c.session, nil
	})
	if err != nil {
		return nil, fmt.Errorf("mcp: %w", err)
	}
	return func(api http.Handler) http.Handler {
		stream := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return server }, &sdk.StreamableHTTPOptions{
			Stateless: true, JSONResponse: true, PropagateRequestCancellation: true, Logger: cfg.Log,
			// It would refuse every proxy on this machine that passes on the name
			// by which it was called. What it protects from does no harm here: a
			// page that got in by DNS rebinding has no token.
			DisableLocalhostProtection: true,
		})
		return &door{api: api, origins: origins, next: stream, version: cfg.Version}
	}, nil
}

// door is what a request passes before it reaches the protocol.
type door struct {
	api     http.Handler
	origins *http.CrossOriginProtection
	next    http.Handler
	version string
}

// caller is whose request it is. It travels in the request's context, of which
// the SDK passes on the values alone: ctx is the context itself.
type caller struct {
	session *session
	ctx     context.Context
}

type callerKey struct{}

// tied makes a tool end when its HTTP request does: nobody would get the ticket
// that is claimed after that. The SDK does so for the newest protocol only.
func tied(ctx context.Context) (context.Context, context.CancelFunc) {
	c, ok := ctx.Value(callerKey{}).(*caller)
	if !ok {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(c.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, metadataPath) {
		auth.ProtectedResourceMetadataHandler(&oauthex.ProtectedResourceMetadata{
			Resource: address(r) + "/mcp", BearerMethodsSupported: []string{"header"},
			ResourceName: "Agent Kanban", ResourceDocumentation: address(r) + "/docs",
		}).ServeHTTP(w, r)
		return
	}
	// GET counts as harmless there; here no request of a foreign page does.
	checked := *r
	checked.Method = http.MethodPost
	if err := d.origins.Check(&checked); err != nil {
		refuse(w, http.StatusForbidden, events.CodeForbidden,
			"A page of another origin called. Allow it with CORS_ORIGINS, or call from elsewhere than a browser.")
		return
	}
	inside := &inProcess{api: d.api, outer: r, requestID: w.Header().Get("X-Request-Id"), pause: time.Second}
	c, err := client.New(client.Config{
		URL: "http://" + d.host(r), HTTP: &http.Client{Transport: inside}, Retries: -1, UserAgent: "kanban-mcp/" + d.version,
	})
	if err != nil {
		refuse(w, http.StatusBadRequest, events.CodeInvalid, "The Host header is not a host.")
		return
	}
	// A client that is told 401 here asks its person for a token; told so by a
	// tool, the model would have to.
	if !d.admitted(w, r, c) {
		return
	}
	who := &caller{session: &session{client: c}, ctx: r.Context()}
	d.next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, who)))
}

func (d *door) host(r *http.Request) string {
	if r.Host == "" {
		return "kanban"
	}
	return r.Host
}

// admitted asks the API who calls, and answers where it does not say.
func (d *door) admitted(w http.ResponseWriter, r *http.Request, c *client.Client) bool {
	_, err := c.Me(r.Context())
	var e *events.Error
	switch {
	case err == nil:
		return true
	case !errors.As(err, &e):
		refuse(w, http.StatusInternalServerError, events.CodeInternal, errInternal.Message)
	case e.Code == events.CodeUnauthenticated:
		challenge := "Bearer "
		if r.Header.Get("Authorization") != "" {
			challenge += `error="invalid_token", `
		}
		w.Header().Set("WWW-Authenticate", challenge+fmt.Sprintf("resource_metadata=%q", address(r)+metadataPath))
		refuse(w, http.StatusUnauthorized, e.Code, e.Message)
	case e.Code == events.CodeForbidden || e.Code == events.CodePaused:
		refuse(w, http.StatusForbidden, e.Code, e.Message)
	case e.Code == events.CodeRateLimited:
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(max(e.RetryAfter.Seconds(), 1)))))
		refuse(w, http.StatusTooManyRequests, e.Code, e.Message)
	default:
		refuse(w, http.StatusServiceUnavailable, e.Code, e.Message)
	}
	return false
}

// address is the server as the caller sees it. What a proxy says of the scheme
// is believed: it only goes back to who said it.
func address(r *http.Request) string {
	u := url.URL{Scheme: "http", Host: r.Host}
	if r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https") {
		u.Scheme = "https"
	}
	return u.String()
}

// refuse answers like the rest of the API, with application/problem+json.
func refuse(w http.ResponseWriter, status int, code events.Code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{ // the client may have gone
		"type": "about:blank", "title": http.StatusText(status), "status": status, "code": code, "detail": detail,
	})
}
