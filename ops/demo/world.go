package demo

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/client"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// Names of the people of a World.
const (
	Person   = "demo" // the pm whose sign-in is for whoever watches
	Reviewer = "rita"
	boardKey = "SHOP"
)

// Config says what World to prepare.
type Config struct {
	// URL is a server without users, SetupToken what its first registration asks
	// for.
	URL, SetupToken string
	// Seed decides about everything: the tickets and what the agents do.
	Seed uint64
	// Agents and Tickets are how many; 0 = 5 and 40. At most 1000 tickets.
	Agents, Tickets int
	// Review makes a column that asks for approval, and a reviewer for it.
	Review bool
	// ShortLease is the shortest lease that the server grants, in whole seconds:
	// an agent that is to lose its claim asks for it, and everybody waits for the
	// server to end it. 0 = no agent loses one.
	ShortLease time.Duration
}

func (c Config) withDefaults() Config {
	if c.Agents == 0 {
		c.Agents = 5
	}
	if c.Tickets == 0 {
		c.Tickets = 40
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	if c.Agents < 1 || c.Agents > 200 {
		errs = append(errs, fmt.Errorf("%d agents: want 1 to 200", c.Agents))
	}
	if c.Tickets < 1 || c.Tickets > commands.MaxBatch {
		errs = append(errs, fmt.Errorf("%d tickets: want 1 to %d", c.Tickets, commands.MaxBatch))
	}
	return errors.Join(errs...)
}

// World is a board with tickets, and those who will work on it.
type World struct {
	Board readmodel.Board
	// Password and Token are the sign-in of Person.
	Password, Token string

	cfg       Config
	transport *http.Transport
	person    *client.Client
	reviewer  *client.Client
	agents    []*client.Client
	names     []string
	start     int64  // position of the log before the first ticket
	renewed   uint64 // how often there were new tickets
}

// Prepare registers people and agents, and makes the board and its tickets.
// Close the World in any case.
func Prepare(ctx context.Context, cfg Config) (*World, error) {
	cfg = cfg.withDefaults()
	// Each agent keeps its connection: the default is two for one server.
	w := &World{cfg: cfg, transport: &http.Transport{MaxIdleConnsPerHost: cfg.Agents + 4}}
	if err := cfg.validate(); err != nil {
		return w, fmt.Errorf("demo: %w", err)
	}
	for _, step := range []func(context.Context) error{w.people, w.board, w.hire, w.tickets} {
		if err := step(ctx); err != nil {
			return w, fmt.Errorf("prepare the demo: %w", err)
		}
	}
	return w, nil
}

// URL is where the server of the World answers.
func (w *World) URL() string { return w.cfg.URL }

// Close gives the connections back.
func (w *World) Close() { w.transport.CloseIdleConnections() }

func (w *World) client(token string) (*client.Client, error) {
	return client.New(client.Config{
		URL: w.cfg.URL, Token: token, UserAgent: "kanban-demo", HTTP: &http.Client{Transport: w.transport},
	})
}

// register makes a person and returns a client with a token of their own, which
// does not end while the demo runs.
func (w *World) register(ctx context.Context, name, setup string) (c *client.Client, password, token string, err error) {
	secret := make([]byte, 9)
	if _, err := rand.Read(secret); err != nil {
		return nil, "", "", err
	}
	password = hex.EncodeToString(secret)
	if c, err = w.client(""); err != nil {
		return nil, "", "", err
	}
	if _, err = c.Register(ctx, name, password, setup); err != nil {
		return nil, "", "", err
	}
	session, err := c.Login(ctx, name, password)
	if err != nil {
		return nil, "", "", err
	}
	if c, err = w.client(session.AccessToken); err != nil {
		return nil, "", "", err
	}
	made, err := c.CreateToken(ctx, client.NewToken{Name: "demo", Role: events.PM})
	if err != nil {
		return nil, "", "", err
	}
	c, err = w.client(made.Token)
	return c, password, made.Token, err
}

func (w *World) people(ctx context.Context) (err error) {
	if w.person, w.Password, w.Token, err = w.register(ctx, Person, w.cfg.SetupToken); err != nil {
		return err
	}
	if w.cfg.Review {
		w.reviewer, _, _, err = w.register(ctx, Reviewer, "")
	}
	return err
}

func (w *World) board(ctx context.Context) (err error) {
	several := func(n int) *int { return &n }
	columns := []commands.ColumnSpec{
		{Name: "Backlog", Kind: events.Backlog},
		{Name: "In Progress", Kind: events.Active, WIPLimit: several(w.cfg.Agents)},
		{Name: "Blocked", Kind: events.Blocked},
	}
	done := commands.ColumnSpec{Name: "Done", Kind: events.Done, Policy: &commands.PolicySpec{RequireChecklist: true, RequireEvidence: true}}
	if w.cfg.Review {
		columns = append(columns, commands.ColumnSpec{
			Name: "Review", Kind: events.Review, WIPLimit: several(max(2, w.cfg.Agents)), Policy: done.Policy,
		})
		done.Policy = &commands.PolicySpec{Approval: true, AllowFrom: []commands.Ref{"Review"}}
	}
	w.Board, err = w.person.CreateBoard(ctx, commands.CreateBoard{
		Key: boardKey, Name: "Web shop", Description: "A demo: agents build a web shop.", Columns: append(columns, done), MaxClaims: 1,
	})
	if err == nil && w.cfg.Review {
		_, err = w.person.SetMember(ctx, commands.SetMember{Board: boardKey, User: Reviewer, Role: events.PM})
	}
	return err
}

func (w *World) hire(ctx context.Context) error {
	for i := range w.cfg.Agents {
		name := agentName(i)
		token, err := w.person.CreateToken(ctx, client.NewToken{Name: name, Kind: events.Agent, Boards: []commands.Ref{boardKey}})
		if err != nil {
			return err
		}
		c, err := w.client(token.Token)
		if err != nil {
			return err
		}
		w.agents, w.names = append(w.agents, c), append(w.names, name)
	}
	return nil
}

func (w *World) tickets(ctx context.Context) error {
	head, err := w.person.Head(ctx)
	if err != nil {
		return err
	}
	w.start = head.Position
	_, err = w.person.Run(ctx, plan(boardKey, w.cfg.Tickets, w.rng(0))...)
	return err
}

// Renew deletes the tickets of the board and makes as many others, for another
// run by the same agents.
func (w *World) Renew(ctx context.Context) error {
	for {
		page, err := w.person.Tickets(ctx, client.TicketQuery{Board: boardKey, Paging: client.Paging{Limit: 100}})
		if err != nil {
			return fmt.Errorf("renew the demo: %w", err)
		}
		if len(page.Items) == 0 {
			break
		}
		list := make([]commands.Command, len(page.Items))
		for i := range page.Items {
			list[i] = commands.DeleteTicket{Ticket: commands.Ref(page.Items[i].Key)}
		}
		if _, err := w.person.Run(ctx, list...); err != nil {
			return fmt.Errorf("renew the demo: %w", err)
		}
	}
	w.renewed++
	if _, err := w.person.Run(ctx, plan(boardKey, w.cfg.Tickets, w.rng(firstRenewal+w.renewed))...); err != nil {
		return fmt.Errorf("renew the demo: %w", err)
	}
	return nil
}

// firstRenewal keeps the sources of later tickets apart from those of actors,
// of whom there are 200 at most.
const firstRenewal = 1000

// rng is the n-th source of decisions: each actor has its own, so that what one
// does never shifts what another decides.
func (w *World) rng(n uint64) *mathrand.Rand { return mathrand.New(mathrand.NewPCG(w.cfg.Seed, n)) }
