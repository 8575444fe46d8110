package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// stopTime bounds a graceful stop. Whatever is cut off after it is safe all the
// same: what was acknowledged is on disk.
const stopTime = 10 * time.Second

func (a *app) serveCommand() *cobra.Command {
	var create bool
	var host, port, urlFile string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server: the log in SQLite, an embedded NATS, the read models, the API.
Everything is kept in the data directory, which one server uses at a time. The
environment and .env configure it (see .env.example); the first start prints the
address where the first account is made. SIGTERM and Ctrl-C stop it within ten
seconds; SIGHUP reopens the log files.`,
		Example: `  kanban serve
  DATA_DIR=/var/lib/kanban HOST=0.0.0.0 kanban serve
  kanban serve --port 0 --url-file url    # any free port; the address is in ./url`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(a.dataDir, override{"HOST": host, "PORT": port})
			if err != nil {
				return err
			}
			return a.serve(cmd.Context(), newServer(cfg, create, a.stderr), urlFile)
		},
	}
	cmd.Flags().StringVar(&host, "host", "", "address to listen on (HOST; default 127.0.0.1)")
	cmd.Flags().StringVar(&port, "port", "", "port to listen on, 0 = any free one (PORT; default 18000)")
	cmd.Flags().BoolVar(&create, "new", false, "begin an empty log even where a server has run before")
	cmd.Flags().StringVar(&urlFile, "url-file", "", "write the server's address there once it answers")
	return cmd
}

func (a *app) serve(ctx context.Context, s *server, urlFile string) error {
	// A soft limit: the collector works harder near it, nothing fails beyond it.
	// What is not Go's heap, mostly the program itself, is left out.
	debug.SetMemoryLimit(int64(s.cfg.MemoryMB) << 20 * 3 / 4)
	if err := s.start(ctx); err != nil {
		return err
	}
	debug.FreeOSMemory() // what only the start needed
	s.logs.Log.Info("serving", "url", s.URL(), "version", release(), "log_id", s.db.LogID(), "position", s.watermark.Position())
	err := a.announce(s, urlFile)
	if err == nil {
		s.wait(ctx, notifier{s.logs.Log})
	}
	return errors.Join(err, s.stopInTime())
}

// announce says where to go, first of all on standard output.
func (a *app) announce(s *server, urlFile string) error {
	if urlFile != "" {
		err := replaceFile(urlFile, func(w io.Writer) error {
			_, err := fmt.Fprintln(w, s.URL())
			return err
		})
		if err != nil {
			return err
		}
	}
	if a.json {
		return a.printJSON(struct {
			URL   string `json:"url"`
			Setup string `json:"setup,omitempty"`
		}{s.URL(), s.setup})
	}
	text := fmt.Sprintf("kanban: %s\n", s.URL())
	if s.setup != "" {
		text += "setup: " + s.setup + "\n"
	}
	_, err := io.WriteString(a.stdout, text)
	return err
}

// wait returns when ctx ends; until then SIGHUP reopens the log files, and the
// service manager is told how things are.
func (s *server) wait(ctx context.Context, manager notifier) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	manager.ready(s.URL())
	defer manager.stopping()
	var watchdog sync.WaitGroup
	defer watchdog.Wait()
	watchdog.Go(func() {
		manager.watchdog(ctx, func(ctx context.Context) bool { return answers(ctx, s.http.Handler()) })
	})
	for {
		select {
		case <-hangup:
			manager.reload(func() {
				if err := s.logs.Reopen(); err != nil {
					s.logs.Log.Warn("reopen log files", "error", err)
				}
				s.logs.Log.Info("log files reopened")
			})
		case <-ctx.Done():
			return
		}
	}
}

// stopInTime closes the server, but does not wait for ever.
func (s *server) stopInTime() error {
	s.logs.Log.Info("stopping")
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		// Requests get most of the time; what comes after them is quick.
		ctx, cancel := context.WithTimeout(ctx, stopTime*6/10)
		defer cancel()
		done <- s.close(ctx)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the server did not stop within %s; what was acknowledged is on disk", stopTime)
	}
}
