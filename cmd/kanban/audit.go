package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/ops/audit"
	"github.com/agent-kanban/agent-kanban/ops/doctor"
)

func (a *app) auditCommand() *cobra.Command {
	days := 30
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Security audit: failed logins, tokens, admins, permissions, settings",
		Long: `Look at what matters for security: failed logins, refusals and errors in the log
files of the last days, API tokens that have expired, never expire or are not
used, admins, sessions, rights of files, secrets and settings. It only reads, never
prints a secret, and works beside a running server.

Exits with 3 when it finds something.`,
		Example: "  kanban audit\n  kanban audit --days 7 --json\n  kanban audit --data-dir /var/lib/kanban",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if days < 1 {
				return usagef("--days is %d, want 1 or more", days)
			}
			cfg, err := loadConfig(a.dataDir)
			if err != nil {
				return err
			}
			return a.audit(cmd.Context(), cfg, days)
		},
	}
	cmd.Flags().IntVar(&days, "days", days, "how far back the log files are read")
	return cmd
}

func (a *app) audit(ctx context.Context, cfg config, days int) error {
	path, err := cfg.databasePath()
	if err != nil {
		return err
	}
	if err := mustExist(path); err != nil {
		return err
	}
	p := &patient{a: a, cfg: cfg, path: path}
	checks := p.logChecks(ctx, days)
	checks = append(
		checks,
		doctor.Check{Name: "admins", Look: p.admins},
		doctor.Check{Name: "api_tokens", Look: p.apiTokens},
		doctor.Check{Name: "sessions", Look: p.sessions},
		doctor.Check{Name: "registration", Look: p.registration},
		p.permissions(),
		doctor.Check{Name: "secrets", Look: p.secrets},
		doctor.Check{Name: "exposure", Look: p.exposure},
	)
	if cfg.TLSCert != "" {
		checks = append(checks, doctor.Certificate(cfg.TLSCert, cfg.TLSKey, a.now()))
	}
	var done func(doctor.Result)
	if !a.json {
		done = a.printResult
	}
	report := doctor.Run(ctx, checks, false, done)
	if a.json {
		if err := a.printJSON(report); err != nil {
			return err
		}
	}
	found := 0
	for _, r := range report.Results {
		if r.Level != doctor.OK {
			found++
		}
	}
	if found == 0 {
		return nil
	}
	return &hinted{&foundError{count(found, "check") + " found something"}, "what the hints say"}
}

// suspicious is how many failed logins of one address are no mistakes any more.
const suspicious = 10

// logChecks read the log files once.
func (p *patient) logChecks(ctx context.Context, days int) []doctor.Check {
	counts, err := audit.Logs(ctx, filepath.Join(p.cfg.DataDir, "logs"), p.a.now().AddDate(0, 0, -days))
	if err != nil {
		return []doctor.Check{{Name: "logs", Look: func(context.Context) doctor.Finding {
			return doctor.Failure("look at the files in logs/", "they cannot be read: %v", err)
		}}}
	}
	span := fmt.Sprintf("in %d days", days)
	return []doctor.Check{
		{Name: "logs", Look: func(context.Context) doctor.Finding {
			return doctor.Okay("%s read; %d requests %s", count(counts.Files, "file"), counts.Requests, span)
		}},
		{Name: "failed_logins", Look: func(context.Context) doctor.Finding {
			var peers []string
			for _, w := range counts.Worst(5) {
				if w.Failed >= suspicious {
					peers = append(peers, fmt.Sprintf("%s (%d)", clean(w.Address), w.Failed))
				}
			}
			if len(peers) > 0 {
				return doctor.Warning("block the addresses if you do not know them; kanban sessions list shows who is signed in",
					"%d %s, many of them from %s", counts.FailedLogins, span, strings.Join(peers, ", "))
			}
			return doctor.Okay("%d %s", counts.FailedLogins, span)
		}},
		{Name: "refusals", Look: func(context.Context) doctor.Finding {
			if counts.RateLimited > 1000 {
				return doctor.Warning("look in logs/backend.log who is slowed down (status 429)",
					"%d requests were over a limit %s, %d were refused", counts.RateLimited, span, counts.Refused)
			}
			return doctor.Okay("%d requests were over a limit %s, %d were refused", counts.RateLimited, span, counts.Refused)
		}},
		{Name: "server_errors", Look: func(context.Context) doctor.Finding {
			if counts.ServerErrors > 0 {
				return doctor.Warning("look in logs/backend.log for status 5", "%d %s", counts.ServerErrors, span)
			}
			return doctor.Okay("none %s", span)
		}},
	}
}

func (p *patient) admins(ctx context.Context) doctor.Finding {
	return p.read(ctx, func(db *sqlstore.DB) doctor.Finding {
		users, err := people(ctx, db)
		if err != nil {
			return doctor.Failure(toRecover, "%v", err)
		}
		var names []string
		for _, u := range users {
			if u.Admin && u.Active {
				names = append(names, clean(u.Username))
			}
		}
		switch {
		case len(names) == 0:
			return doctor.Warning("kanban user create --admin NAME", "there is no admin")
		case len(names) > 5:
			return doctor.Warning("give people a role on their boards instead", "%d admins may do everything: %s", len(names), strings.Join(names, ", "))
		}
		return doctor.Okay("%s: %s", count(len(names), "admin"), strings.Join(names, ", "))
	})
}

// unusedFor is after how many days an API token that nobody used is one too many.
const unusedFor = 90

func (p *patient) apiTokens(ctx context.Context) doctor.Finding {
	const layout = "2006-01-02 15:04:05.000000"
	return p.read(ctx, func(db *sqlstore.DB) doctor.Finding {
		now := p.a.now().UTC()
		rows, err := db.Reader().QueryContext(ctx, `SELECT id, name, coalesce(expires_at <= ?1, 0), expires_at IS NULL, coalesce(last_used_at, created_at) <= ?2
			FROM api_tokens WHERE revoked = 0 ORDER BY id`, now.Format(layout), now.AddDate(0, 0, -unusedFor).Format(layout))
		if err != nil {
			return doctor.Failure(toRecover, "%v", err)
		}
		defer rows.Close()
		var expired, unused []string
		live, lasting := 0, 0
		for rows.Next() {
			var id int64
			var name string
			var isExpired, lasts, isUnused bool
			if err := rows.Scan(&id, &name, &isExpired, &lasts, &isUnused); err != nil {
				return doctor.Failure(toRecover, "%v", err)
			}
			label := fmt.Sprintf("%d %s", id, clean(name))
			switch {
			case isExpired:
				expired = append(expired, label)
				continue
			case isUnused:
				unused = append(unused, label)
			}
			live++
			if lasts {
				lasting++
			}
		}
		if err := rows.Err(); err != nil {
			return doctor.Failure(toRecover, "%v", err)
		}
		said := fmt.Sprintf("%d in force, %d of them without an end", live, lasting)
		if len(unused) > 0 {
			said += fmt.Sprintf("; unused for %d days: %s", unusedFor, few(unused))
		}
		if len(expired) > 0 {
			said += "; expired: " + few(expired)
		}
		if len(unused)+len(expired) > 0 {
			return doctor.Warning("kanban token revoke ID for those that nobody needs", "%s", said)
		}
		return doctor.Okay("%s", said)
	})
}

// few joins the first ten.
func few(list []string) string {
	const most = 10
	if len(list) > most {
		return strings.Join(list[:most], ", ") + fmt.Sprintf(" and %d more", len(list)-most)
	}
	return strings.Join(list, ", ")
}

func (p *patient) sessions(ctx context.Context) doctor.Finding {
	return p.read(ctx, func(db *sqlstore.DB) doctor.Finding {
		list, err := auth.ListSessions(ctx, db.Reader(), p.a.now())
		if err != nil {
			return doctor.Failure(toRecover, "%v", err)
		}
		byUser := map[int64]int{}
		var most []int
		for _, s := range list {
			byUser[s.UserID]++
		}
		for _, n := range byUser {
			most = append(most, n)
		}
		var expired int64
		err = db.Reader().QueryRowContext(ctx, "SELECT count(*) FROM refresh_tokens WHERE expires_at <= ?",
			p.a.now().UTC().Add(-24*time.Hour).Format("2006-01-02 15:04:05.000000")).Scan(&expired)
		switch {
		case err != nil:
			return doctor.Failure(toRecover, "%v", err)
		case len(most) > 0 && slices.Max(most) > 50:
			return doctor.Warning("kanban sessions list, then kanban sessions revoke USER", "somebody has %d sessions", slices.Max(most))
		case expired > 0:
			return doctor.Warning("kanban maintain", "%d refresh tokens expired more than a day ago and were not deleted", expired)
		}
		return doctor.Okay("%s of %s", count(len(list), "session"), count(len(byUser), "user"))
	})
}

func (p *patient) registration(context.Context) doctor.Finding {
	if p.cfg.Registration == "open" && doctor.Public(p.cfg.Host) {
		return doctor.Warning("REGISTRATION=closed", "anybody who reaches %s can make an account (which sees no board)", p.cfg.Host)
	}
	return doctor.Okay("%s", p.cfg.Registration)
}
