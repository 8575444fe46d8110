package http

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"github.com/agent-kanban/agent-kanban/http/live"
)

// maxBody bounds every request body.
const maxBody = 1 << 20

// Config is how the server listens and what it tells the world.
type Config struct {
	// Addr is the address to listen on: "127.0.0.1:18000"; port 0 = any free.
	Addr string
	// CORSOrigins are the origins ("https://board.example") that may call from
	// a browser, besides the server's own.
	CORSOrigins []string
	// TrustedProxies are the addresses or networks whose X-Forwarded-For is
	// believed; empty = nobody's.
	TrustedProxies []string
	// TLSCert and TLSKey are files; both or none.
	TLSCert, TLSKey string
	// Autocert are the host names to fetch certificates for by ACME (RFC 8555,
	// challenge tls-alpn-01: port 443 of these names must lead here); they are
	// kept in the folder CertDir. Excludes TLSCert.
	Autocert []string
	CertDir  string
	// ACMEDirectory is the address of the authority; "" = Let's Encrypt.
	ACMEDirectory string
	// Version is the program's, shown in the OpenAPI document and /api/status.
	Version string
	// Degraded names what is missing but not vital ("bus"); nil = nothing is.
	Degraded func() []string
	// Metrics answers GET /metrics; nil = 404. Besides callers on this machine and
	// admins MetricsToken opens it ("" = nothing does), and that opens nothing else.
	Metrics      http.Handler
	MetricsToken string
	// Observer is told of every request; zero = nobody is.
	Observer Observer
	// Down says why commands are not served ("the disk is full"), which makes
	// /health answer 503; nil = they always are.
	Down func(ctx context.Context) []string
	// Details are the sections of /health/detailed by name; "memory" is also what
	// /health/memory answers. They must not use the name of a field of its own.
	Details map[string]Section
	// Alerts returns what is wrong now, and what was, newest first; nil = nobody
	// watches.
	Alerts func() (active, past []Alert)
	// RegistrationClosed refuses accounts after the first.
	RegistrationClosed bool
	// Wait bounds how long a request waits for the read model; 0 = 2 s.
	Wait time.Duration
	// Heartbeat is the interval of comments on idle SSE streams, and in which the
	// credentials of all streams are checked again; 0 = 15 s.
	Heartbeat time.Duration
	// AuthWait is how long a WebSocket may stay without credentials; 0 = 5 s.
	AuthWait time.Duration
	// Backlog bounds the bytes that may wait for one WebSocket client before it
	// is told to resume later; 0 = 4 MiB.
	Backlog int
	// Log is for what operators should know; none when nil.
	Log *slog.Logger
	// Shared keeps snapshots of boards for all processes of the server; nil = this
	// one alone.
	Shared SharedReplies
	// Requests counts the requests of each principal, and of each address of
	// callers without good credentials; nil = no limit.
	Requests RequestLimit
}

func (c Config) withDefaults() Config {
	if c.Version == "" {
		c.Version = "dev"
	}
	if c.Degraded == nil {
		c.Degraded = func() []string { return nil }
	}
	if c.Down == nil {
		c.Down = func(context.Context) []string { return nil }
	}
	if c.Alerts == nil {
		c.Alerts = func() (active, past []Alert) { return nil, nil }
	}
	if c.Wait == 0 {
		c.Wait = 2 * time.Second
	}
	if c.Heartbeat == 0 {
		c.Heartbeat = 15 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		errs = append(errs, fmt.Errorf("address %q: %w", c.Addr, err))
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		errs = append(errs, errors.New("a TLS certificate and its key belong together"))
	}
	if len(c.Autocert) > 0 && (c.TLSCert != "" || c.CertDir == "") {
		errs = append(errs, errors.New("certificates are fetched into a folder, or given as files"))
	}
	for _, name := range ownSections {
		if c.Details[name] != nil {
			errs = append(errs, fmt.Errorf("details: %s is a field of its own", name))
		}
	}
	for _, o := range c.CORSOrigins {
		u, err := url.Parse(o)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" {
			errs = append(errs, fmt.Errorf("CORS origin %q: want one like https://board.example, without a path and without *", o))
		}
	}
	return errors.Join(errs...)
}

// Server serves the API. Create it with New.
type Server struct {
	cfg  Config
	deps Deps
	log  *slog.Logger

	engine  *gin.Engine
	page    gin.HandlerFunc // the web board
	handler http.Handler
	api     huma.API
	http    *http.Server
	feed    *live.Feed
	kept    *keptReplies
	origins map[string]bool
	started time.Time
	// idBase and idNext make request ids: unique per process, cheap.
	idBase string
	idNext atomic.Uint64
	// redacted is the position of the last redaction, 0 = none.
	redacted atomic.Int64

	// stopping ends first, and with it the streams.
	stopping context.Context
	halt     context.CancelFunc
	running  sync.WaitGroup
	listener net.Listener
}

// New returns a server with all its routes; it neither listens nor starts
// anything.
func New(cfg Config, deps Deps) (*Server, error) {
	cfg = cfg.withDefaults()
	if err := errors.Join(cfg.validate(), deps.validate()); err != nil {
		return nil, fmt.Errorf("http server: %w", err)
	}
	s := &Server{
		cfg: cfg, deps: deps, log: cfg.Log,
		started: time.Now(), idBase: newIDBase(),
		origins: make(map[string]bool, len(cfg.CORSOrigins)),
	}
	s.stopping, s.halt = context.WithCancel(context.Background())
	for _, o := range cfg.CORSOrigins {
		s.origins[strings.ToLower(o)] = true
	}
	var err error
	if s.kept, err = newKeptReplies(cfg.Shared); err != nil {
		return nil, fmt.Errorf("http server: %w", err)
	}
	if s.feed, err = s.newFeed(); err != nil {
		return nil, fmt.Errorf("http server: %w", err)
	}
	if err := s.routes(); err != nil {
		return nil, fmt.Errorf("http server: %w", err)
	}
	s.http = &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       120 * time.Second,
		// WriteTimeout stays 0 for the streams; each other request sets its own
		// deadline.
		ErrorLog: slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
	}
	if len(cfg.Autocert) > 0 {
		certificates := &autocert.Manager{
			Prompt: autocert.AcceptTOS, HostPolicy: autocert.HostWhitelist(cfg.Autocert...), Cache: autocert.DirCache(cfg.CertDir),
			Client: &acme.Client{DirectoryURL: cfg.ACMEDirectory, UserAgent: "kanban/" + cfg.Version},
		}
		s.http.TLSConfig = certificates.TLSConfig()
	}
	return s, nil
}

// Handler is the whole server as a handler, for tests and for embedding. The
// live feed needs Start.
func (s *Server) Handler() http.Handler { return s.handler }

// Start listens and serves until Shutdown. It returns once connections are
// accepted.
func (s *Server) Start() error {
	if s.listener != nil || s.stopping.Err() != nil {
		return errors.New("start http server: it was started or shut down before")
	}
	ln, err := new(net.ListenConfig).Listen(s.stopping, "tcp", s.cfg.Addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", s.cfg.Addr, err)
	}
	s.listener = ln
	redacted, err := s.deps.Queries.LastRedaction(s.stopping)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	s.redacted.Store(redacted)
	if s.cfg.Shared != nil {
		// Something may have been redacted while no server ran that could tell.
		s.cfg.Shared.Forget(s.stopping)
	}
	if err := s.feed.Start(); err != nil {
		return errors.Join(err, ln.Close())
	}
	s.running.Go(func() {
		var err error
		if s.secure() {
			err = s.http.ServeTLS(ln, s.cfg.TLSCert, s.cfg.TLSKey)
		} else {
			err = s.http.Serve(ln)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("serving ended", "error", err)
		}
	})
	return nil
}

func (s *Server) secure() bool { return s.cfg.TLSCert != "" || len(s.cfg.Autocert) > 0 }

// URL is where the server answers, without a trailing slash; "" before Start.
func (s *Server) URL() string {
	if s.listener == nil {
		return ""
	}
	scheme := "http://"
	if s.secure() {
		scheme = "https://"
	}
	addr := s.listener.Addr().(*net.TCPAddr)
	host := addr.IP.String()
	if addr.IP.IsUnspecified() {
		host = "localhost"
	}
	return scheme + net.JoinHostPort(host, fmt.Sprint(addr.Port))
}

// Shutdown accepts no more connections, ends the streams, says "going away" to
// the sockets and waits for the requests under way, no longer than ctx. It is
// safe twice and before Start.
func (s *Server) Shutdown(ctx context.Context) error {
	s.halt()
	err := s.http.Shutdown(ctx)
	s.feed.Stop(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("shut down: %w", err), s.http.Close())
	}
	s.running.Wait()
	return err
}
