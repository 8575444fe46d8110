package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/client"
)

func (a *app) tokenCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:     "token",
		Short:   "API tokens for agents and scripts: create, list, revoke",
		Example: "  kanban token create builder --agent --board WEB\n  kanban token list",
	})
	cmd.AddCommand(a.tokenCreate(), a.tokenList(), a.tokenRevoke())
	return cmd
}

func (a *app) tokenCreate() *cobra.Command {
	var in client.NewToken
	var agent bool
	var role string
	var boards []string
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Issue an API token, for yourself or (--agent) for an agent called NAME",
		Example: `  kanban token create builder --agent --board WEB --expires-in-days 90
  kanban token create ci --role viewer
  export KANBAN_TOKEN=$(kanban token create builder --agent --board WEB)`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			in.Name, in.Kind, in.Role = args[0], events.Human, events.Role(role)
			if agent {
				in.Kind = events.Agent
			}
			for _, b := range boards {
				in.Boards = append(in.Boards, commands.Ref(b))
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			token, err := c.CreateToken(cmd.Context(), in)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(token)
			}
			a.note("token %d of %s; it is shown this once:", token.ID, token.User)
			_, err = fmt.Fprintln(a.stdout, token.Token)
			return err
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&agent, "agent", false, "for an agent called NAME, registered and made a member of the boards if need be")
	flags.StringVar(&in.User, "user", "", "for this user instead")
	flags.StringVar(&role, "role", "", "the most it may be on a board: pm, agent or viewer (default agent)")
	flags.StringSliceVarP(&boards, "board", "b", nil, "only on this board, by key or id; may be given several times")
	flags.IntVar(&in.ExpiresInDays, "expires-in-days", 0, "days until it ends (0 = never)")
	return cmd
}

func (a *app) tokenList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List API tokens: your own, all of them for an admin",
		Example: "  kanban token list",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			page, err := pages(cmd.Context(), 0, func(ctx context.Context, p client.Paging) (client.Page[client.Token], error) {
				return c.Tokens(ctx, p)
			})
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(page)
			}
			rows := make([][]string, len(page.Items))
			for i, t := range page.Items {
				used, state := "never", "valid"
				if t.LastUsedAt != nil {
					used = a.ago(*t.LastUsedAt)
				}
				switch {
				case t.Revoked:
					state = "revoked"
				case t.ExpiresAt != nil && !t.ExpiresAt.After(a.now()):
					state = "expired"
				case t.ExpiresAt != nil:
					state = "until " + t.ExpiresAt.Local().Format("2006-01-02")
				}
				boards := "all"
				if len(t.Boards) > 0 {
					boards = fmt.Sprint(t.Boards)
				}
				rows[i] = []string{strconv.FormatInt(t.ID, 10), t.User, t.Name, t.Prefix + "…", string(t.Role), boards, used, state}
			}
			return table(a.stdout, "ID USER NAME TOKEN ROLE BOARDS USED STATE", rows)
		},
	}
}

func (a *app) tokenRevoke() *cobra.Command {
	return &cobra.Command{
		Use:     "revoke ID",
		Short:   "End an API token at once",
		Example: "  kanban token revoke 3",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || id < 1 {
				return usagef("token %q: want its number, as kanban token list shows it", args[0])
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			err = c.RevokeToken(cmd.Context(), id)
			if events.CodeOf(err) == events.CodeNotFound {
				return &hinted{err, "kanban token list"}
			}
			if err != nil {
				return err
			}
			a.note("revoked token %d", id)
			return nil
		},
	}
}

func (a *app) loginCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "login NAME",
		Short: "Sign in and print an access token; nothing is stored",
		Long: `Sign in and print an access token, which ends after some minutes. Nothing is
stored. The password is asked for, or read from standard input. For scripts and
agents an API token is better: kanban token create.`,
		Example: "  export KANBAN_TOKEN=$(kanban login pat)\n  printf %s \"$PASSWORD\" | kanban login pat --json",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := a.password("Password of "+args[0], false)
			if err != nil {
				return err
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			session, err := c.Login(cmd.Context(), args[0], password)
			if events.CodeOf(err) == events.CodeUnauthenticated {
				return &hinted{err, "the name and password again, or ask an admin"}
			}
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(session)
			}
			_, err = fmt.Fprintln(a.stdout, session.AccessToken)
			return err
		},
	}
}
