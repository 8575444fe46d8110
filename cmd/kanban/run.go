package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/http/client"
)

// Exit codes. An agent that works in a loop need not read texts to know what to
// do next: 4 is to wait for work, 5 is to drop what it does and look for other.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitFound  = 3 // the check was carried out, and something needs attention
	exitNoWork = 4 // nothing is ready to be claimed
	exitLost   = 5 // somebody else holds the ticket, or the claim has ended
)

// app is what the subcommands share: the streams of the process and the global
// flags.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	now            func() time.Time

	url, token, dataDir string
	json                bool
	stdinRead           bool // for the text of an argument
}

// run is the program, apart from the process around it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, now: time.Now}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	a.report(cmd, err)
	return exitCode(err)
}

func exitCode(err error) int {
	var usage *usageError
	var config *configError
	if errors.As(err, &usage) || errors.As(err, &config) {
		return exitUsage
	}
	var found *foundError
	if errors.As(err, &found) {
		return exitFound
	}
	switch events.CodeOf(err) {
	case events.CodeNothingReady:
		return exitNoWork
	case events.CodeClaimed, events.CodeStaleClaim:
		return exitLost
	default:
		return exitFailed
	}
}

func (a *app) root() *cobra.Command {
	root := group(&cobra.Command{
		Use:   "kanban",
		Short: "A kanban board whose state is its log, for people and agents",
		Long: `A kanban board whose state is its log: people and agents send commands, each
accepted command appends events, and everything anyone sees is a fold of them.

serve starts the server; demo starts a throw-away one with agents at work. verify,
rebuild, backup, restore, export, import, user, sessions, maintain, doctor,
recover and audit work on the data directory; everything else speaks HTTP to a
server.

Exit codes: 0 done; 1 failed or refused; 2 the command line or the
configuration makes no sense; 3 something was found that needs attention; 4
there is no ticket to claim now; 5 the claim is lost: somebody else holds the
ticket, or the lease has ended.`,
		Example: `  kanban demo                                    # see what this is, without keeping anything
  kanban serve                                   # start, then open what it prints
  export KANBAN_TOKEN=$(kanban login pat)        # sign in
  kanban board create "Website"
  kanban ticket create --board WEB "Say hello"
  kanban next --board WEB --wait 60s             # an agent: claim the best ticket
  kanban done WEB-1 --evidence commit=4f2a91c
  kanban tail --since 10m`,
		Version:       release(),
		SilenceUsage:  true,
		SilenceErrors: true,
	})
	root.SetVersionTemplate(versionLine())
	flags := root.PersistentFlags()
	flags.StringVar(&a.url, "url", "", "address of the server (KANBAN_URL; default http://127.0.0.1:18000)")
	flags.StringVar(&a.token, "token", "", "access or API token (KANBAN_TOKEN; better there than here, where other users of the machine see it)")
	flags.StringVar(&a.dataDir, "data-dir", "", "data directory (DATA_DIR; default the working directory)")
	flags.BoolVar(&a.json, "json", false, "results as JSON")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.AddCommand(
		a.serveCommand(), a.healthCommand(), a.demoCommand(), a.boardCommand(), a.ticketCommand(), a.commentCommand(), a.webhookCommand(),
		a.nextCommand(), a.claimCommand(), a.heartbeatCommand(), a.releaseCommand(), a.doneCommand(), a.undoCommand(),
		a.agentCommand(), a.mcpCommand(), a.tokenCommand(), a.loginCommand(),
		a.tailCommand(), a.replayCommand(), a.verifyCommand(), a.rebuildCommand(), a.exportCommand(), a.importCommand(), a.redactCommand(),
		a.backupCommand(), a.restoreCommand(), a.userCommand(), a.versionCommand(), a.manCommand(),
		a.maintainCommand(), a.sessionsCommand(), a.doctorCommand(), a.recoverCommand(), a.auditCommand(),
	)
	a.completeArguments(root)
	return root
}

// usageError is a command line that makes no sense: exit code 2.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// foundError is a check that was carried out and found something: exit code 3.
type foundError struct{ what string }

func (e *foundError) Error() string { return e.what }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// hinted is an error with its own advice for the last line.
type hinted struct {
	err error
	try string
}

func (e *hinted) Error() string { return e.err.Error() }
func (e *hinted) Unwrap() error { return e.err }

// group makes a command that only holds others say so, instead of printing its
// help and succeeding whatever was asked.
func group(cmd *cobra.Command) *cobra.Command {
	cmd.Args = cobra.ArbitraryArgs
	cmd.SuggestionsMinimumDistance = 2
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usagef("%s needs a command: %s", cmd.CommandPath(), subcommands(cmd))
		}
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			return usagef("%s has no command %q; did you mean %s?", cmd.CommandPath(), args[0], strings.Join(near, " or "))
		}
		return usagef("%s has no command %q; there are: %s", cmd.CommandPath(), args[0], subcommands(cmd))
	}
	return cmd
}

func subcommands(cmd *cobra.Command) string {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return strings.Join(names, ", ")
}

// args makes cobra's check of positional arguments a usage error that shows what
// is expected.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usagef("%w; usage: %s", err, cmd.UseLine())
		}
		return nil
	}
}

// report prints the error and what to do about it.
func (a *app) report(cmd *cobra.Command, err error) {
	fmt.Fprintf(a.stderr, "kanban: %s\n", err)
	var e *events.Error
	if errors.As(err, &e) && !fieldsShown(e) {
		for _, field := range slices.Sorted(maps.Keys(e.Fields)) {
			fmt.Fprintf(a.stderr, "  %s: %s\n", field, e.Fields[field])
		}
	}
	if try := a.try(cmd, err); try != "" {
		fmt.Fprintf(a.stderr, "Try: %s\n", try)
	}
}

// fieldsShown reports whether the message already says what is in Fields.
func fieldsShown(e *events.Error) bool {
	for _, reason := range e.Fields {
		if !strings.Contains(e.Message, reason) {
			return false
		}
	}
	return true
}

// try is the advice at the end of an error.
func (a *app) try(cmd *cobra.Command, err error) string {
	var hint *hinted
	var usage *usageError
	var down *client.UnreachableError
	var locked *sqlstore.LockedError
	switch {
	case errors.As(err, &hint):
		return hint.try
	case errors.As(err, &usage):
		return cmd.CommandPath() + " --help"
	case errors.As(err, &down):
		return "kanban serve (in another terminal), or name the server with --url or KANBAN_URL"
	case errors.As(err, &locked):
		return fmt.Sprintf("kill %d (it stops gracefully), or --data-dir with another directory", locked.PID)
	}
	switch events.CodeOf(err) {
	case events.CodeUnauthenticated:
		return "export KANBAN_TOKEN=$(kanban login NAME)"
	case events.CodeForbidden:
		return "ask a pm of the board (kanban board members BOARD), or use a token of one"
	case events.CodeNotFound:
		return "kanban board list (a board that you are no member of is not shown either)"
	case events.CodeWIPLimit:
		return "finish something in that column first, or --over-limit if you are a pm"
	case events.CodeVersionMismatch:
		return "look at what changed, then again with --if-version set to the current version"
	case events.CodeRateLimited, events.CodeUnavailable:
		return "again in a moment"
	case events.CodeClaimed:
		return "kanban next, which picks another one"
	case events.CodeStaleClaim:
		return "stop working on it; then kanban next, or kanban claim to begin again"
	case events.CodeNothingReady:
		return "kanban next --wait 60s, or kanban board ready BOARD to see what waits for what"
	case events.CodeClaimLimit:
		return "kanban done or kanban release for one that you hold (kanban agent list shows them)"
	case events.CodeBlocked, events.CodeCycle:
		return "kanban board ready BOARD, which shows what waits for what"
	case events.CodePolicy:
		return "kanban ticket check, kanban ticket evidence or kanban ticket request-approval, then again"
	case events.CodePaused:
		return "ask a pm, who can kanban agent resume"
	case events.CodeFrozen:
		return "wait, or ask a pm, who can kanban board unfreeze"
	case events.CodeBuiltOn:
		return "undo what was built on it first (kanban tail --json shows command ids)"
	case events.CodeInvalid, events.CodeNameTaken:
		return cmd.CommandPath() + " --help"
	default:
		return ""
	}
}

// connect returns a client for the server that flags, environment or .env name.
func (a *app) connect() (*client.Client, error) {
	c, _, err := a.dial()
	return c, err
}

// dial is connect, with the token that the client shows.
func (a *app) dial() (c *client.Client, token string, err error) {
	env, err := readEnv()
	if err != nil {
		return nil, "", err
	}
	address := a.url
	if address == "" {
		address = env["KANBAN_URL"]
	}
	if address == "" {
		port := env["PORT"]
		if port == "" || port == "0" {
			port = "18000"
		}
		address = "http://127.0.0.1:" + port
	}
	if token = a.token; token == "" {
		token = env["KANBAN_TOKEN"]
	}
	c, err = client.New(client.Config{URL: address, Token: token, UserAgent: "kanban-cli/" + release()})
	if err != nil {
		return nil, "", usagef("%w", err)
	}
	return c, token, nil
}

// isTerminal reports whether who reads w is a person.
func isTerminal(w io.Writer) bool {
	f, isFile := w.(*os.File)
	return isFile && term.IsTerminal(int(f.Fd()))
}

// terminal reports whether w is one, and how wide.
func terminal(w any) (width int, ok bool) {
	f, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	return width, err == nil
}
