package main

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

func (a *app) userCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "user",
		Short: "Accounts in the data directory: create, list, password, deactivate",
		Long: `Accounts in the data directory. What changes something needs the server stopped;
while it runs, people register and change their passwords over HTTP.`,
		Example: "  kanban user create --admin pat\n  kanban user list",
	})
	cmd.AddCommand(a.userCreate(), a.userList(), a.userPassword(), a.userDeactivate())
	return cmd
}

func (a *app) printUser(u *readmodel.User) error {
	if a.json {
		return a.printJSON(u)
	}
	admin := ""
	if u.Admin {
		admin = ", admin"
	}
	_, err := fmt.Fprintf(a.stdout, "%d  %s  (%s%s)\n", u.ID, clean(u.Username), u.Kind, admin)
	return err
}

func (a *app) userCreate() *cobra.Command {
	var in commands.RegisterUser
	cmd := &cobra.Command{
		Use:     "create NAME",
		Short:   "Make an account; the password is asked for, or read from standard input",
		Example: "  kanban user create --admin pat\n  printf %s \"$PASSWORD\" | kanban user create --admin pat",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			cfg, err := loadConfig(a.dataDir)
			if err != nil {
				return err
			}
			o, err := openToWrite(ctx, cfg, true, a.toolLog())
			if err != nil {
				return err
			}
			defer o.close()
			accounts, err := o.accounts()
			if err != nil {
				return err
			}
			password, err := a.password("Password for "+args[0], true)
			if err != nil {
				return err
			}
			hash, err := accounts.HashPassword(ctx, password)
			if err != nil {
				return err
			}
			in.Name, in.Kind = args[0], events.Human
			receipt, err := o.do(ctx, commands.Meta{With: func(ctx context.Context, tx *sql.Tx, r commands.Receipt) error {
				return accounts.SetPassword(ctx, tx, events.StreamID(r.Stream), hash)
			}}, in)
			if err != nil {
				return err
			}
			// A user exists, so nobody needs the setup token any more.
			if err := auth.NewSetup(cfg.DataDir).Discard(); err != nil {
				return err
			}
			return a.showUser(ctx, o.db, events.StreamID(receipt.Stream))
		},
	}
	cmd.Flags().BoolVar(&in.Admin, "admin", false, "may do everything")
	cmd.Flags().StringVar(&in.DisplayName, "display-name", "", "how the name is shown (default: NAME)")
	return cmd
}

func (a *app) showUser(ctx context.Context, log events.Reader, id int64) error {
	users, err := people(ctx, log)
	if err != nil {
		return err
	}
	for i := range users {
		if users[i].ID == id {
			return a.printUser(&users[i])
		}
	}
	return nil
}

func findUser(ctx context.Context, log events.Reader, name string) (readmodel.User, error) {
	users, err := people(ctx, log)
	if err != nil {
		return readmodel.User{}, err
	}
	for _, u := range users {
		if strings.EqualFold(u.Username, name) {
			return u, nil
		}
	}
	return readmodel.User{}, &hinted{events.Errorf(events.CodeNotFound, "There is no user %q.", name), "kanban user list"}
}

func (a *app) userList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List all accounts; works while a server runs",
		Example: "  kanban user list --data-dir /var/lib/kanban",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(a.dataDir)
			if err != nil {
				return err
			}
			db, err := openToRead(cmd.Context(), cfg, a.toolLog())
			if err != nil {
				return err
			}
			defer db.Close()
			users, err := people(cmd.Context(), db)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(users)
			}
			rows := make([][]string, len(users))
			for i, u := range users {
				state := "active"
				if !u.Active {
					state = "deactivated"
				}
				rows[i] = []string{strconv.FormatInt(u.ID, 10), u.Username, string(u.Kind), strconv.FormatBool(u.Admin), state, a.ago(u.CreatedAt)}
			}
			return table(a.stdout, "ID NAME KIND ADMIN STATE CREATED", rows)
		},
	}
}

// changeUser opens the data directory for a change of one account.
func (a *app) changeUser(ctx context.Context, name string, change func(*offline, *auth.Service, readmodel.User) error) error {
	cfg, err := loadConfig(a.dataDir)
	if err != nil {
		return err
	}
	o, err := openToWrite(ctx, cfg, false, a.toolLog())
	if err != nil {
		return err
	}
	defer o.close()
	accounts, err := o.accounts()
	if err != nil {
		return err
	}
	u, err := findUser(ctx, o.db, name)
	if err != nil {
		return err
	}
	return change(o, accounts, u)
}

func (a *app) userPassword() *cobra.Command {
	return &cobra.Command{
		Use:     "password NAME",
		Short:   "Set a new password and end all sessions of the account",
		Example: "  kanban user password pat",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return a.changeUser(ctx, args[0], func(o *offline, accounts *auth.Service, u readmodel.User) error {
				if !u.Active || u.Kind != events.Human {
					return events.Errorf(events.CodeConflict, "%s is no active person, so there is no password to set.", u.Username)
				}
				password, err := a.password("New password for "+u.Username, true)
				if err != nil {
					return err
				}
				hash, err := accounts.HashPassword(ctx, password)
				if err != nil {
					return err
				}
				err = o.db.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
					if err := accounts.SetPassword(ctx, tx, u.ID, hash); err != nil {
						return err
					}
					return accounts.RevokeSessions(ctx, tx, u.ID)
				})
				if err != nil {
					return err
				}
				a.note("%s has a new password", u.Username)
				return nil
			})
		},
	}
}

func (a *app) userDeactivate() *cobra.Command {
	return &cobra.Command{
		Use:     "deactivate NAME",
		Short:   "End all access of an account; what it did stays",
		Example: "  kanban user deactivate pat",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return a.changeUser(ctx, args[0], func(o *offline, accounts *auth.Service, u readmodel.User) error {
				_, err := o.do(ctx, commands.Meta{With: func(ctx context.Context, tx *sql.Tx, _ commands.Receipt) error {
					return accounts.RevokeUser(ctx, tx, u.ID)
				}}, commands.DeactivateUser{UserID: u.ID})
				if err != nil {
					return err
				}
				a.note("%s is deactivated", u.Username)
				return nil
			})
		},
	}
}
