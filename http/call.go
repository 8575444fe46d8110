package http

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/events"
)

// call is what one request carries from layer to layer. It travels in the
// request's context, because huma's handlers do not see gin's own store.
type call struct {
	gin       *gin.Context
	id        string
	principal auth.Principal
	signedIn  bool
	// refused is why the credential is not good, once that is known.
	refused error
	start   time.Time
	// body is the request's, kept only where an Idempotency-Key needs its sum.
	body []byte
	// For the Observer: what ends its span, and whether the request waits because
	// it was asked to.
	ended func(status int)
	waits bool
}

type callKey struct{}

func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

func (c *call) ctx() context.Context { return c.gin.Request.Context() }

func (c *call) header(name string) string { return c.gin.Request.Header.Get(name) }

// peer is the address that limits on guessing count: the real one, or what a
// trusted proxy says.
func (c *call) peer() string { return c.gin.ClientIP() }

// local reports a caller on this machine: the direct peer, and nothing that a
// proxy forwarded.
func (c *call) local() bool {
	for _, h := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "X-Forwarded-Host", "Via"} {
		if c.header(h) != "" {
			return false
		}
	}
	host, _, err := net.SplitHostPort(c.gin.Request.RemoteAddr)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

func newIDBase() string {
	var b [6]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:]) + "-"
}

// requestID takes over the caller's id where it is harmless in a log.
func (s *Server) requestID(given string) string {
	if given != "" && len(given) <= 64 && strings.IndexFunc(given, func(r rune) bool {
		return r <= ' ' || r > '~' || r == '"' || r == '\\'
	}) < 0 {
		return given
	}
	return s.idBase + strconv.FormatUint(s.idNext.Add(1), 36)
}

// deadlines of one attempt to write a reply.
const replyTimeout = 60 * time.Second

var bufs = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// send encodes v and writes it in one piece.
func (s *Server) send(c *call, status int, contentType string, v any) {
	buf := bufs.Get().(*bytes.Buffer)
	buf.Reset()
	defer func() {
		if buf.Cap() <= 1<<18 {
			bufs.Put(buf)
		}
	}()
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		s.log.Error("encode reply", "request_id", c.id, "error", err)
		status, contentType = http.StatusInternalServerError, problemJSON
		buf.Reset()
		buf.WriteString(`{"type":"about:blank","title":"Internal Server Error","status":500,"code":"internal"}`)
	}
	s.sendBytes(c, status, contentType, buf.Bytes())
}

func (s *Server) sendBytes(c *call, status int, contentType string, body []byte) {
	w := c.gin.Writer
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may have gone; nobody is left to tell
}

// bearer returns the credential of a request, "" where there is none.
func bearer(r *http.Request) string {
	const scheme = "Bearer "
	h := r.Header.Get("Authorization")
	if len(h) > len(scheme) && strings.EqualFold(h[:len(scheme)], scheme) {
		return strings.TrimSpace(h[len(scheme):])
	}
	return ""
}

var errSignIn = events.Errorf(events.CodeUnauthenticated,
	"Sign in first: send the header \"Authorization: Bearer <token>\" with an access token or an API token.")

// signIn fills in the principal from the credential; it fails where there is
// none or it is not good.
func (s *Server) signIn(c *call) error {
	if c.signedIn {
		return nil
	}
	token := bearer(c.gin.Request)
	if token == "" {
		return errSignIn
	}
	if c.refused != nil {
		return c.refused
	}
	p, err := s.deps.Auth.Authenticate(c.ctx(), token)
	if err != nil {
		c.refused = err
		return err
	}
	c.principal, c.signedIn = p, true
	return nil
}
