package embedded

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"
)

// Config describes a server. Only StoreDir is required.
type Config struct {
	// Name of the server in its INFO line, "embedded" when empty.
	Name string
	// StoreDir is the folder in which the folder "jetstream" is made.
	StoreDir string
	// Listen is host:port for connections from outside, "" = none. Port 0 takes
	// a free one, see Server.Addr.
	Listen string
	// Username and Password are what connections from outside must present;
	// required with Listen.
	Username, Password string
	// GuestPublish lists the subjects that connections from outside may publish
	// to (JetStream's API is a set of subjects, too). Empty = none at all.
	GuestPublish []string
	// MaxMemory and MaxStore limit JetStream, in bytes: 16 MiB and 1 GiB when 0.
	MaxMemory, MaxStore int64
	// MaxPayload is the largest message in bytes, 8 MiB when 0.
	MaxPayload int32
	// StartTimeout is how long Start waits for the server, 30 s when 0: the
	// index of a large store that was not closed is rebuilt from its blocks.
	StartTimeout time.Duration
	// Logger, none when nil. What the server calls a notice is logged at Debug.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	c.Name = cmp.Or(c.Name, "embedded")
	c.MaxMemory = cmp.Or(c.MaxMemory, 16<<20)
	c.MaxStore = cmp.Or(c.MaxStore, 1<<30)
	c.MaxPayload = cmp.Or(c.MaxPayload, 8<<20)
	c.StartTimeout = cmp.Or(c.StartTimeout, 30*time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	if c.StoreDir == "" {
		errs = append(errs, errors.New("a StoreDir is required"))
	}
	if c.MaxMemory < 0 || c.MaxStore < 0 || c.MaxPayload < 0 || c.StartTimeout < 0 {
		errs = append(errs, errors.New("limits must not be negative"))
	}
	if c.Listen != "" {
		if _, _, err := c.listen(); err != nil {
			errs = append(errs, err)
		}
		if c.Username == "" || c.Password == "" {
			errs = append(errs, errors.New("an address to Listen on needs Username and Password"))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("config of the embedded NATS server: %w", err)
	}
	return nil
}

func (c Config) listen() (host string, port int, err error) {
	host, text, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return "", 0, fmt.Errorf("address to Listen on: %w", err)
	}
	if port, err = strconv.Atoi(text); err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("address to Listen on: %q is not a port", text)
	}
	if port == 0 {
		port = -1 // the server's word for "any"
	}
	return host, port, nil
}
