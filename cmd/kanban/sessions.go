package main

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

func (a *app) sessionsCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "sessions",
		Short: "Who is signed in: list, revoke, rotate-key",
		Long: `Who is signed in, and how to end that. list and revoke work beside a running
server, which refuses what was revoked within two seconds; rotate-key needs it
stopped. API tokens are no sessions: see kanban token.

After an incident:
  kanban sessions revoke --all
  kanban sessions rotate-key --no-grace      # with the server stopped; then start it`,
		Example: "  kanban sessions list\n  kanban sessions revoke pat\n  kanban sessions revoke --all\n  kanban sessions rotate-key",
	})
	cmd.AddCommand(a.sessionsList(), a.sessionsRevoke(), a.sessionsRotateKey())
	return cmd
}

func (a *app) sessionsList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the sessions that have not ended",
		Example: "  kanban sessions list --data-dir /var/lib/kanban --json",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			cfg, err := loadConfig(a.dataDir)
			if err != nil {
				return err
			}
			db, err := openToRead(ctx, cfg, a.toolLog())
			if err != nil {
				return err
			}
			defer db.Close()
			sessions, err := auth.ListSessions(ctx, db.Reader(), a.now())
			if err != nil {
				return err
			}
			users, err := people(ctx, db)
			if err != nil {
				return err
			}
			return a.printSessions(sessions, users)
		},
	}
}

func (a *app) printSessions(sessions []auth.OpenSession, users []readmodel.User) error {
	names := make(map[int64]string, len(users))
	for _, u := range users {
		names[u.ID] = u.Username
	}
	if a.json {
		type session struct {
			auth.OpenSession
			User string `json:"user"`
		}
		list := make([]session, len(sessions))
		for i, s := range sessions {
			list[i] = session{s, names[s.UserID]}
		}
		return a.printJSON(list)
	}
	rows := make([][]string, len(sessions))
	for i, s := range sessions {
		rows[i] = []string{names[s.UserID], strconv.FormatInt(s.UserID, 10), a.ago(s.Started), a.ago(s.Refreshed), a.ago(s.Expires)}
	}
	return table(a.stdout, "USER ID STARTED REFRESHED EXPIRES", rows)
}

func (a *app) sessionsRevoke() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "revoke (--all | USER)",
		Short: "End all sessions of a user, or of everybody",
		Long: `End all sessions of a user, or of everybody: their refresh tokens and their
access tokens are refused, by a running server within two seconds. They sign in
again with their passwords; to keep somebody out see kanban user deactivate.`,
		Example: "  kanban sessions revoke pat\n  kanban sessions revoke --all",
		Args: func(_ *cobra.Command, args []string) error {
			if all == (len(args) == 1) || len(args) > 1 {
				return usagef("name one user, or --all")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			cfg, err := loadConfig(a.dataDir)
			if err != nil {
				return err
			}
			db, server, done, err := openBeside(ctx, cfg, a.toolLog())
			if err != nil {
				return err
			}
			defer done() //nolint:errcheck // the process ends
			var user readmodel.User
			if !all {
				if user, err = findUser(ctx, db, args[0]); err != nil {
					return err
				}
			}
			var ended int64
			err = db.Update(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
				ended, err = auth.EndSessions(ctx, tx, user.ID, a.now())
				return err
			})
			if err != nil {
				return err
			}
			if server != 0 {
				a.note("the running server refuses them within two seconds")
			}
			if a.json {
				return a.printJSON(struct {
					Ended int64 `json:"ended"`
				}{ended})
			}
			_, err = fmt.Fprintf(a.stdout, "%s ended\n", count(int(ended), "session"))
			return err
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "of everybody")
	return cmd
}

func (a *app) sessionsRotateKey() *cobra.Command {
	var noGrace bool
	cmd := &cobra.Command{
		Use:   "rotate-key",
		Short: "Replace the key that signs access tokens",
		Long: `Replace the key that signs access tokens. It is kept in the data directory; a
key in SECRET_KEY is replaced there by whoever set it. The server must be
stopped, for it reads the key at its start.

What the old key signed is accepted until it expires, ACCESS_TOKEN_EXPIRE_MINUTES
at most; after that, or with --no-grace at once, clients refresh their sessions,
which go on. Whoever may have stolen the key: --no-grace, and kanban sessions
revoke --all.`,
		Example: "  kanban sessions rotate-key\n  kanban sessions rotate-key --no-grace",
		Args:    args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			cfg, err := loadConfig(a.dataDir)
			if err != nil {
				return err
			}
			if cfg.SecretKey != "" {
				return &hinted{
					fmt.Errorf("the key is the value of SECRET_KEY, which this command cannot change"),
					"SECRET_KEY=<output of openssl rand -hex 32> and the old one in SECRET_KEY_PREVIOUS, restart the server, " +
						"and remove SECRET_KEY_PREVIOUS when the access tokens have expired",
				}
			}
			path, err := cfg.databasePath()
			if err != nil {
				return err
			}
			if err := mustExist(path); err != nil {
				return err
			}
			lock, err := lockDataDir(cfg.DataDir, false)
			if err != nil {
				return err
			}
			defer lock.Release() //nolint:errcheck // nothing was written through it
			if err := auth.RotateKey(cfg.DataDir, a.now(), !noGrace); err != nil {
				return err
			}
			a.note("the key was replaced; start the server")
			return nil
		},
	}
	cmd.Flags().BoolVar(&noGrace, "no-grace", false, "refuse at once what the old key signed")
	return cmd
}

// previousKey is the key that was replaced last, and until when what it signed
// is accepted: SECRET_KEY_PREVIOUS for the life of an access token from now on,
// one that rotate-key put aside for as long from its rotation.
func (c *config) previousKey(now time.Time) (auth.Secret, time.Time, error) {
	life := time.Duration(c.AccessMinutes) * time.Minute
	if c.OldSecretKey != "" {
		return auth.SecretOf(c.OldSecretKey), now.Add(life), nil
	}
	if c.SecretKey != "" {
		return auth.Secret{}, time.Time{}, nil
	}
	return auth.LoadPreviousKey(c.DataDir, now, life)
}
