package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/ops/doctor"
	"github.com/agent-kanban/agent-kanban/ops/machine"
)

func (a *app) doctorCommand() *cobra.Command {
	var repair bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look whether everything is as it should be, and say what to do",
		Long: `Look at everything that this installation depends on: configuration, lock,
permissions, disk, database, log, read models, the stream's folder, saved events,
clock, secrets, origins, TLS, backups, the shipped log, copies that still hold
what was redacted. Each check says ok, warn or FAIL, with what
to do. It only reads, and works beside a running server.

--repair mends what can be mended without losing anything, and says what it did:
rights of files, half-made files; with the server stopped also read models (made
anew from the log), a long WAL (copied into the database), a damaged stream's
folder (moved aside). Damage to the log itself is for kanban recover.

Exits with 3 when it finds something.`,
		Example: "  kanban doctor\n  kanban doctor --repair --data-dir /var/lib/kanban\n  kanban doctor --json",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(a.dataDir)
			var wrong *configError
			if err != nil && !errors.As(err, &wrong) {
				return err
			}
			return a.doctor(cmd.Context(), cfg, wrong, repair)
		},
	}
	cmd.Flags().BoolVar(&repair, "repair", false, "mend what can be mended without losing anything")
	return cmd
}

func (a *app) doctor(ctx context.Context, cfg config, wrong *configError, repair bool) (err error) {
	p := &patient{a: a, cfg: cfg, wrong: wrong}
	if p.path, err = cfg.databasePath(); err != nil {
		p.path = filepath.Join(cfg.DataDir, defaultDatabase)
	}
	// Taken for a moment, or for the whole of a repair: no server starts meanwhile.
	lock, err := sqlstore.Lock(cfg.DataDir)
	switch {
	case err == nil && repair:
		defer lock.Release() //nolint:errcheck // the process ends
	case err == nil:
		err = lock.Release()
	case errors.As(err, &p.locked):
		err = nil
	}
	p.lockErr = err
	var done func(doctor.Result)
	if !a.json {
		done = a.printResult
	}
	report := doctor.Run(ctx, p.checks(), repair, done)
	if a.json {
		if err := a.printJSON(report); err != nil {
			return err
		}
	}
	if report.Worst == doctor.OK {
		return nil
	}
	bad := 0
	for _, r := range report.Results {
		if r.Level != doctor.OK {
			bad++
		}
	}
	try := "what the hints say"
	if !repair {
		try += "; kanban doctor --repair mends what can be mended without loss"
	}
	return &hinted{&foundError{count(bad, "check") + " found something"}, try}
}

func (a *app) printResult(r doctor.Result) {
	fmt.Fprintf(a.stdout, "%-5s%-14s%s\n", r.Level, r.Check, clean(r.Detail))
	if r.Repaired != "" {
		fmt.Fprintf(a.stdout, "     repaired: %s\n", clean(r.Repaired))
	}
	if r.Level != doctor.OK && r.Hint != "" {
		fmt.Fprintf(a.stdout, "     try: %s\n", clean(r.Hint))
	}
}

// patient is the installation that is looked at.
type patient struct {
	a       *app
	cfg     config
	wrong   *configError
	path    string // of the database
	locked  *sqlstore.LockedError
	lockErr error
}

func (p *patient) in(names ...string) []string {
	for i, name := range names {
		names[i] = filepath.Join(p.cfg.DataDir, name)
	}
	return names
}

func (p *patient) checks() []doctor.Check {
	size, _ := machine.FileSize(p.path) // the database check tells of errors
	list := []doctor.Check{
		{Name: "configuration", Look: p.configuration},
		{Name: "lock", Look: p.lock},
		p.permissions(),
		doctor.Disk(p.cfg.DataDir, 100<<20+size/2),
		{Name: "database", Look: p.database},
		{Name: "wal", Look: p.wal, Repair: p.offline(p.checkpointWAL)},
		{Name: "log", Look: p.log},
		{Name: "read_models", Look: p.readModels, Repair: p.offline(p.rebuild)},
		{Name: "stream", Look: p.stream, Repair: p.offline(p.moveStreamAside)},
		{Name: "recovered", Look: p.recovered},
		doctor.Leftovers(p.leftovers()...),
		{Name: "clock", Look: p.clock},
		{Name: "secrets", Look: p.secrets},
		{Name: "exposure", Look: p.exposure},
		{Name: "backups", Look: p.backups},
		{Name: "shipped_log", Look: p.shippedLog},
		{Name: "redactions", Look: p.redactions},
	}
	if p.cfg.TLSCert != "" {
		list = append(list, doctor.Certificate(p.cfg.TLSCert, p.cfg.TLSKey, p.a.now()))
	}
	return list
}

func (p *patient) permissions() doctor.Check {
	return doctor.Private("permissions",
		append(p.in("secret-key*", "setup-token", ".env", "certificates"), p.path, p.path+"-*", p.cfg.TLSKey),
		append(p.in("LOCK", "backups", "recovered", "recovered/*", "jetstream", "damaged-*"), filepath.Join(p.cfg.backupDir(), "*")))
}

// leftovers are what interrupted work leaves behind and nothing needs. Under a
// running server they may be work in progress.
func (p *patient) leftovers() []string {
	if p.locked != nil {
		return nil
	}
	return p.in(".secret-key*-*", ".setup-token-*", "recovered/.saving-*", recoverPrefix+"*")
}

// offline is a repair that needs the server stopped.
func (p *patient) offline(repair func(context.Context) (string, error)) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		if p.locked != nil {
			return "", &hinted{p.locked, "stop the server, then kanban doctor --repair"}
		}
		return repair(ctx)
	}
}

func (p *patient) configuration(context.Context) doctor.Finding {
	if p.wrong == nil {
		return doctor.Okay("every variable is known and has a value that can be used")
	}
	parts := make([]string, len(p.wrong.errs))
	for i, err := range p.wrong.errs {
		parts[i] = err.Error()
	}
	return doctor.Failure("mend them in the environment or in "+dotEnv, "%s", strings.Join(parts, "; "))
}

func (p *patient) lock(context.Context) doctor.Finding {
	switch {
	case p.locked != nil && p.locked.PID > 0:
		return doctor.Okay("a server or tool runs here, pid %d", p.locked.PID)
	case p.locked != nil:
		return doctor.Okay("a server or tool runs here")
	case p.lockErr != nil:
		return doctor.Failure("look whether DATA_DIR exists and may be written", "%v", p.lockErr)
	}
	return doctor.Okay("no server runs here")
}

func (p *patient) secrets(context.Context) doctor.Finding {
	const hint = `set it to the output of "openssl rand -hex 32", or leave it empty to have one generated`
	if key := p.cfg.SecretKey; key != "" {
		if err := auth.CheckKey(key); err != nil {
			return doctor.Failure(hint, "SECRET_KEY %v", err)
		}
	}
	if key := p.cfg.OldSecretKey; key != "" {
		if err := auth.CheckKey(key); err != nil {
			return doctor.Failure("leave it empty", "SECRET_KEY_PREVIOUS %v", err)
		}
		return doctor.Warning(fmt.Sprintf("remove it %d minutes after the rotation", p.cfg.AccessMinutes),
			"SECRET_KEY_PREVIOUS is set: what the old key signed is accepted after every start")
	}
	if p.cfg.SecretKey == "" {
		return doctor.Okay("the key is generated and kept in the data directory")
	}
	return doctor.Okay("SECRET_KEY is strong")
}

func (p *patient) exposure(context.Context) doctor.Finding {
	var found []string
	for _, o := range p.cfg.CORSOrigins {
		if strings.Contains(o, "*") || strings.HasPrefix(o, "http://") && !strings.HasPrefix(o, "http://localhost") && !strings.HasPrefix(o, "http://127.") {
			found = append(found, fmt.Sprintf("CORS_ORIGINS lets %s call the API", clean(o)))
		}
	}
	encrypted := p.cfg.TLSCert != "" || len(p.cfg.TLSAutocert) > 0
	if public := doctor.Public(p.cfg.Host); public && !encrypted && len(p.cfg.TrustedProxies) == 0 {
		found = append(found, fmt.Sprintf("HOST %s is reachable without TLS, and no proxy is named in TRUSTED_PROXIES", p.cfg.Host))
	}
	if p.cfg.Testing {
		found = append(found, "TESTING is true")
	}
	if len(found) > 0 {
		return doctor.Warning("TLS_CERT, TLS_AUTOCERT or a proxy with TLS in front; only https origins", "%s", strings.Join(found, "; "))
	}
	return doctor.Okay("nothing is open that should not be")
}
