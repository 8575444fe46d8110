package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/nats-io/nats-server/v2/server"
)

// ErrNotRunning is returned by InProcessConn between Stop and Start.
var ErrNotRunning = errors.New("the embedded NATS server is not running")

// Server is one NATS server that can be started, stopped and replaced by a
// fresh one on the same store. It is safe for concurrent use.
type Server struct {
	config   Config
	password string

	life sync.Mutex // held by Start, Stop and Restart

	mu      sync.RWMutex
	running *server.Server
}

// New checks the config. Nothing runs before Start.
func New(config Config) (*Server, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	return &Server{config: config, password: rand.Text()}, nil
}

// Credentials returns what connections through InProcessConn must present. They
// stay the same across Restart.
func (s *Server) Credentials() (user, password string) { return "inside", s.password }

// Start runs the server and returns when JetStream has recovered its store. It
// does nothing where the server already runs. After an error nothing runs.
func (s *Server) Start(ctx context.Context) error {
	s.life.Lock()
	defer s.life.Unlock()
	return s.begin(ctx)
}

// Stop ends the server and waits until its files are closed. Not waiting is
// known to damage the store. It is safe before Start and twice.
func (s *Server) Stop() {
	s.life.Lock()
	defer s.life.Unlock()
	s.end()
}

// Restart replaces the server by a fresh one on the same store. Connections
// through InProcessConn are cut and find the new one when they reconnect. This
// is the only way out of a full disk: JetStream keeps refusing after space is
// free again.
func (s *Server) Restart(ctx context.Context) error {
	s.life.Lock()
	defer s.life.Unlock()
	s.end()
	return s.begin(ctx)
}

// InProcessConn returns a connection through memory. It makes Server a
// nats.InProcessConnProvider.
func (s *Server) InProcessConn() (net.Conn, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.running == nil {
		return nil, ErrNotRunning
	}
	return s.running.InProcessConn()
}

// Addr returns where the server listens, nil where it does not.
func (s *Server) Addr() net.Addr {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.running == nil || s.config.Listen == "" {
		return nil
	}
	return s.running.Addr()
}

func (s *Server) begin(ctx context.Context) error {
	if s.running != nil {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	opts, err := s.options()
	if err != nil {
		return err
	}
	fresh, err := server.NewServer(opts)
	if err != nil {
		return fmt.Errorf("start the embedded NATS server: %w", err)
	}
	logger := newLogger(s.config.Logger)
	fresh.SetLoggerV2(logger, false, false, false)
	fresh.Start() // returns when JetStream is up, or shuts the server down again
	if !fresh.ReadyForConnections(s.config.StartTimeout) || !fresh.JetStreamEnabled() {
		fresh.Shutdown()
		fresh.WaitForShutdown()
		return fmt.Errorf("start the embedded NATS server: %s", logger.lastError("it did not get ready in time"))
	}
	s.mu.Lock()
	s.running = fresh
	s.mu.Unlock()
	return nil
}

func (s *Server) end() {
	s.mu.Lock()
	old := s.running
	s.running = nil
	s.mu.Unlock()
	if old == nil {
		return
	}
	old.Shutdown()
	old.WaitForShutdown()
}

func (s *Server) options() (*server.Options, error) {
	c := s.config
	user, password := s.Credentials()
	opts := &server.Options{
		ServerName: c.Name,
		DontListen: c.Listen == "",
		NoSigs:     true, // signals belong to the process
		// Nobody administers this server from outside: its account of events and
		// its timers are not needed.
		NoSystemAccount:        true,
		JetStream:              true,
		StoreDir:               c.StoreDir,
		JetStreamMaxMemory:     c.MaxMemory,
		JetStreamMaxStore:      c.MaxStore,
		DisableJetStreamBanner: true,
		MaxPayload:             c.MaxPayload,
		MaxClosedClients:       16,
		Users:                  []*server.User{{Username: user, Password: password}},
	}
	if c.Listen != "" {
		var err error
		if opts.Host, opts.Port, err = c.listen(); err != nil {
			return nil, err
		}
		publish := &server.SubjectPermission{Allow: c.GuestPublish}
		if len(c.GuestPublish) == 0 {
			publish.Deny = []string{">"} // an empty list would allow everything
		}
		opts.Users = append(opts.Users, &server.User{
			Username: c.Username, Password: c.Password,
			Permissions: &server.Permissions{Publish: publish},
		})
	}
	return opts, nil
}
