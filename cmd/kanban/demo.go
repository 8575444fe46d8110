package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/ops/demo"
)

// demoPlan is what the flags of demo say.
type demoPlan struct {
	agents, tickets, port int
	seed                  uint64
	speed                 float64
	limit                 time.Duration // 0 = until it is interrupted
	headless, quiet, keep bool
}

func (a *app) demoCommand() *cobra.Command {
	var p demoPlan
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See agents at work: a throw-away server, a board, simulated agents",
		Long: `See agents at work: a throw-away server on this machine with the board of a web
shop, on which simulated agents claim tickets, comment, check criteria, finish,
give up, fall silent and lose their lease, while a reviewer approves and rejects.
It prints how to sign in and a line for each thing that happens. When all tickets
are done the server stays for you to look at, until Ctrl-C; then everything is
deleted.

The same --seed (and numbers of agents and tickets) repeats a run: the same things
happen in the same order, as long as you do not touch the board.`,
		Example: `  kanban demo
  kanban demo --agents 12 --tickets 100 --speed 10
  kanban demo --seed 7 --speed 0 --headless        # as fast as it goes, then end`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("seed") {
				p.seed = rand.Uint64N(1_000_000)
			}
			if p.speed < 0 || p.limit < 0 || p.port < 0 || p.port > 65535 {
				return usagef("--speed and --for are from 0, --port is 0 to 65535")
			}
			if p.agents < 1 || p.agents > 200 || p.tickets < 1 || p.tickets > 1000 {
				return usagef("--agents is 1 to 200, --tickets 1 to 1000")
			}
			return a.demo(cmd.Context(), p)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&p.agents, "agents", 5, "how many agents")
	flags.IntVar(&p.tickets, "tickets", 40, "how many tickets")
	flags.Uint64Var(&p.seed, "seed", 0, "repeats a run (default: another each time)")
	flags.Float64Var(&p.speed, "speed", 1, "how many times as fast as real agents (0 = no pauses)")
	flags.DurationVar(&p.limit, "for", 0, "end after so long (0 = at Ctrl-C)")
	flags.IntVar(&p.port, "port", 0, "port of the server (0 = any free one)")
	flags.BoolVar(&p.headless, "headless", false, "end when all tickets are done")
	flags.BoolVarP(&p.quiet, "quiet", "q", false, "no line for each thing that happens")
	flags.BoolVar(&p.keep, "keep", false, "keep the data directory at the end")
	return cmd
}

// demoLease is the shortest lease on the demo's server. The usual half minute
// would stop everything that long whenever an agent is to lose one.
const demoLease = time.Second

// demoServer is a server on a directory of its own. It heeds neither the
// environment nor .env: it must never meet the data that they name.
func (a *app) demoServer(dir string, port int) (*server, error) {
	var cfg config
	if err := env.ParseWithOptions(&cfg, env.Options{Environment: map[string]string{}}); err != nil {
		return nil, err
	}
	cfg.DataDir, cfg.Port, cfg.LogLevel = dir, port, slog.LevelError
	cfg.Synchronous = "NORMAL" // nobody will miss it after a power cut
	cfg.AgentPerMinute = 0     // at --speed 0 its agents are runaways
	cfg.RatePerMinute = 0
	s := newServer(cfg, true, a.stderr)
	s.minLease = demoLease
	return s, nil
}

func (a *app) demo(ctx context.Context, p demoPlan) (err error) {
	dir, err := os.MkdirTemp("", "kanban-demo-")
	if err != nil {
		return fmt.Errorf("a place for the demo: %w", err)
	}
	defer func() {
		if p.keep {
			a.note("kept: kanban serve --data-dir %s", dir)
			return
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	s, err := a.demoServer(dir, p.port)
	if err != nil {
		return err
	}
	if err := s.start(ctx); err != nil {
		return ended(ctx, err)
	}
	defer func() { err = errors.Join(err, s.stopInTime()) }()
	_, token, _ := strings.Cut(s.setup, "#token=")
	world, err := demo.Prepare(ctx, demo.Config{
		URL: s.URL(), SetupToken: token, Seed: p.seed, Agents: p.agents, Tickets: p.tickets, Review: true, ShortLease: demoLease,
	})
	if err != nil {
		return ended(ctx, err)
	}
	defer world.Close()
	a.note("kanban: %s\nsign in: %s, password %s\nor: export KANBAN_URL=%s KANBAN_TOKEN=%s\n    kanban board show %s\nrepeat this run: kanban demo --seed %d --agents %d --tickets %d",
		s.URL(), demo.Person, world.Password, s.URL(), world.Token, world.Board.Key, p.seed, p.agents, p.tickets)
	if p.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.limit)
		defer cancel()
	}
	summary, err := world.Run(ctx, a.demoPace(p))
	if a.json {
		err = errors.Join(err, a.printJSON(summary))
	} else {
		err = errors.Join(err, summary.WriteText(a.stdout))
	}
	if err != nil || p.headless || ctx.Err() != nil {
		return err
	}
	a.note("all is done; the board stays until Ctrl-C")
	<-ctx.Done()
	return nil
}

// ended makes it no error that the demo was ended on purpose.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // see above
	}
	return err
}

// demoPace prints what happens. With --json each line is an event.
func (a *app) demoPace(p demoPlan) demo.Pace {
	pace := demo.Pace{Speed: p.speed}
	if p.quiet {
		return pace
	}
	lines := printer{}
	print := func(who, ticket, text string) error {
		_, err := fmt.Fprintf(a.stdout, "%s  %-6s  %-8s  %s\n", a.now().Format(time.TimeOnly), clean(who), ticket, cut(clean(text), 100))
		return err
	}
	pace.Event = func(e *events.Envelope) error {
		if a.json {
			_, err := fmt.Fprintln(a.stdout, string(e.JSON()))
			return err
		}
		key := lines.place(e)
		if !worthALine(e) {
			return nil
		}
		return print(e.Actor.Name, key, describe(e))
	}
	if !a.json {
		pace.Say = func(who, ticket, text string) error { return print(who, ticket, text) }
	}
	return pace
}

// worthALine leaves out what only accompanies something else.
func worthALine(e *events.Envelope) bool {
	switch e.Type {
	case events.TypeTicketCreated, events.TypeChecklistChanged, events.TypeEvidenceAdded, events.TypeUsageRecorded, events.TypeDependencyAdded:
		return false
	case events.TypeTicketMoved:
		fact, err := e.Payload()
		moved, ok := fact.(events.TicketMoved)
		return err == nil && ok && moved.Column == "Done"
	default:
		return true
	}
}
