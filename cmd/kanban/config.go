package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/caarlos0/env/v11"
	"github.com/robfig/cron/v3"

	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/http/webhook"
	"github.com/agent-kanban/agent-kanban/ops/shared"
	"github.com/agent-kanban/agent-kanban/ops/tracing"
)

// config is everything that serve reads from the environment and .env. The
// names are fixed: operators, scripts and compose files rely on them.
type config struct {
	Host            string     `env:"HOST" envDefault:"127.0.0.1"`
	Port            int        `env:"PORT" envDefault:"18000"`
	DataDir         string     `env:"DATA_DIR" envDefault:"."`
	DatabaseURL     string     `env:"DATABASE_URL" envDefault:"sqlite:///./agent_kanban.db"`
	Synchronous     string     `env:"DB_SYNCHRONOUS" envDefault:"FULL"`
	NATSURL         string     `env:"NATS_URL"`
	NATSListen      string     `env:"NATS_LISTEN"`
	RedisURL        string     `env:"REDIS_URL"`
	SecretKey       string     `env:"SECRET_KEY"`
	AccessMinutes   int        `env:"ACCESS_TOKEN_EXPIRE_MINUTES" envDefault:"30"`
	RefreshDays     int        `env:"REFRESH_TOKEN_EXPIRE_DAYS" envDefault:"7"`
	CORSOrigins     stringList `env:"CORS_ORIGINS"`
	RatePerMinute   int        `env:"RATE_LIMIT_REQUESTS_PER_MINUTE" envDefault:"100"`
	RateBurst       int        `env:"RATE_LIMIT_BURST" envDefault:"200"`
	AgentPerMinute  int        `env:"AGENT_COMMANDS_PER_MINUTE" envDefault:"600"`
	Registration    string     `env:"REGISTRATION" envDefault:"open"`
	MemoryMB        int        `env:"MEMORY_THRESHOLD_MB" envDefault:"150"`
	MonitorSeconds  int        `env:"MONITORING_INTERVAL_SECONDS" envDefault:"30"`
	MetricsToken    string     `env:"METRICS_TOKEN"`
	TrustedProxies  stringList `env:"TRUSTED_PROXIES"`
	LogLevel        slog.Level `env:"LOG_LEVEL" envDefault:"info"`
	SlowQueryMS     int        `env:"SLOW_QUERY_MS" envDefault:"100"`
	BackupSchedule  string     `env:"BACKUP_SCHEDULE"`
	BackupDir       string     `env:"BACKUP_DIR"`
	BackupRecipient string     `env:"BACKUP_AGE_RECIPIENT"`
	BackupBucket    string     `env:"BACKUP_BUCKET"`
	BackupShipTo    string     `env:"BACKUP_SHIP_TO"`
	Maintenance     string     `env:"MAINTENANCE_SCHEDULE" envDefault:"30 3 * * *"`
	AlertWebhook    string     `env:"ALERT_WEBHOOK"`
	AlertSecret     string     `env:"ALERT_WEBHOOK_SECRET"`
	WebhookAllow    stringList `env:"WEBHOOK_ALLOW"`
	TLSCert         string     `env:"TLS_CERT"`
	TLSKey          string     `env:"TLS_KEY"`
	TLSAutocert     stringList `env:"TLS_AUTOCERT"`
	OldSecretKey    string     `env:"SECRET_KEY_PREVIOUS"`
	OTLPEndpoint    string     `env:"OTEL_EXPORTER_OTLP_ENDPOINT"`
	Testing         bool       `env:"TESTING" envDefault:"false"`
}

// stringList reads a JSON list of strings, or one separated by commas.
type stringList []string

// UnmarshalText accepts ["a","b"] and a,b.
func (l *stringList) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	*l = nil
	if strings.HasPrefix(s, "[") {
		if json.Unmarshal([]byte(s), (*[]string)(l)) != nil {
			return errors.New(`want a JSON list like ["https://board.example"]`)
		}
		return nil
	}
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			*l = append(*l, part)
		}
	}
	return nil
}

// configError lists everything that is wrong, so that one start is enough to
// learn of all of it.
type configError struct{ errs []error }

func (e *configError) Error() string {
	var b strings.Builder
	b.WriteString("the configuration is not usable:")
	for _, err := range e.errs {
		b.WriteString("\n  " + err.Error())
	}
	return b.String()
}

func (e *configError) Unwrap() []error { return e.errs }

// loadConfig reads and checks the configuration. dataDir, from the command
// line, wins over DATA_DIR. The errors never contain a value that may be secret.
func loadConfig(dataDir string, flags ...override) (config, error) {
	vars, err := readEnv()
	if err != nil {
		return config{}, err
	}
	for _, flag := range flags {
		for name, value := range flag {
			if value != "" {
				vars[name] = value
			}
		}
	}
	var c config
	errs := strangers(variables())
	if v := vars["LOG_LEVEL"]; strings.EqualFold(v, "warning") || strings.EqualFold(v, "critical") {
		// The system that this one replaces said it this way.
		vars["LOG_LEVEL"] = map[string]string{"WARNING": "WARN", "CRITICAL": "ERROR"}[strings.ToUpper(v)]
	}
	errs = append(errs, parseErrors(env.ParseWithOptions(&c, env.Options{Environment: vars}), vars)...)
	if dataDir != "" {
		c.DataDir = dataDir
	}
	errs = append(errs, c.validate(failed(errs))...)
	if len(errs) > 0 {
		return c, &hinted{&configError{errs}, "mend the variables named above, in the environment or in " + dotEnv}
	}
	return c, nil
}

// override holds variables that the command line sets; empty ones are not set.
type override map[string]string

// variables lists the names of config's fields.
func variables() []string {
	t := reflect.TypeFor[config]()
	names := make([]string, t.NumField())
	for i := range names {
		names[i] = t.Field(i).Tag.Get("env")
	}
	return names
}

// variableError is a variable with a value that cannot be used.
type variableError struct{ name, reason string }

func (e *variableError) Error() string { return e.name + ": " + e.reason }

func bad(name, format string, args ...any) error {
	return &variableError{name, fmt.Sprintf(format, args...)}
}

// parseErrors names the variable where env names the field.
func parseErrors(err error, vars map[string]string) []error {
	if err == nil {
		return nil
	}
	var all env.AggregateError
	if !errors.As(err, &all) {
		return []error{err}
	}
	out := make([]error, 0, len(all.Errors))
	for _, err := range all.Errors {
		var parse env.ParseError
		if !errors.As(err, &parse) {
			out = append(out, err)
			continue
		}
		field, _ := reflect.TypeFor[config]().FieldByName(parse.Name)
		name := field.Tag.Get("env")
		switch field.Type {
		case reflect.TypeFor[int]():
			out = append(out, bad(name, "%q is not a whole number", vars[name]))
		case reflect.TypeFor[bool]():
			out = append(out, bad(name, "%q is neither true nor false", vars[name]))
		case reflect.TypeFor[slog.Level]():
			out = append(out, bad(name, "%q is no level; there are debug, info, warn, error", vars[name]))
		default:
			out = append(out, bad(name, "%v", parse.Err))
		}
	}
	return out
}

// failed returns which variables are already known to be wrong.
func failed(errs []error) map[string]bool {
	names := make(map[string]bool)
	for _, err := range errs {
		var v *variableError
		if errors.As(err, &v) {
			names[v.name] = true
		}
	}
	return names
}

// validate returns everything that is wrong with the values; known are the
// variables that could not be read at all.
func (c *config) validate(known map[string]bool) []error {
	var errs []error
	check := func(name string, ok bool, format string, args ...any) {
		if !ok && !known[name] {
			errs = append(errs, bad(name, format, args...))
		}
	}
	check("HOST", c.Host != "" && !strings.ContainsAny(c.Host, " /"), "%q is not a host", c.Host)
	check("PORT", c.Port >= 0 && c.Port <= 65535, "%d is not a port (0 to 65535; 0 = any free one)", c.Port)
	path, err := c.databasePath()
	check("DATABASE_URL", err == nil, "%v", err)
	check("TESTING", !c.Testing || filepath.Base(path) != defaultDatabase,
		"must not be true on a database named %s: point DATABASE_URL at another file", defaultDatabase)
	c.Synchronous = strings.ToUpper(c.Synchronous)
	check("DB_SYNCHRONOUS", c.Synchronous == "FULL" || c.Synchronous == "NORMAL", "%q: want FULL or NORMAL", c.Synchronous)
	check("NATS_URL", c.NATSURL == "", "this version runs its own NATS only; leave it empty")
	check("NATS_LISTEN", c.NATSListen == "", "this version has no NATS listener; leave it empty")
	err = shared.CheckURL(c.RedisURL)
	check("REDIS_URL", c.RedisURL == "" || err == nil, "%v", err)
	for name, n := range map[string]int{
		"ACCESS_TOKEN_EXPIRE_MINUTES": c.AccessMinutes, "REFRESH_TOKEN_EXPIRE_DAYS": c.RefreshDays,
		"RATE_LIMIT_BURST": c.RateBurst, "MEMORY_THRESHOLD_MB": c.MemoryMB, "MONITORING_INTERVAL_SECONDS": c.MonitorSeconds,
	} {
		check(name, n >= 1, "%d: want 1 or more", n)
	}
	check("ACCESS_TOKEN_EXPIRE_MINUTES", c.AccessMinutes <= c.RefreshDays*24*60 || c.RefreshDays < 1,
		"an access token would outlive its refresh token")
	check("AGENT_COMMANDS_PER_MINUTE", c.AgentPerMinute >= 0 && c.AgentPerMinute <= maxRate,
		"%d: want 0 (no limit) to %d", c.AgentPerMinute, maxRate)
	check("RATE_LIMIT_REQUESTS_PER_MINUTE", c.RatePerMinute >= 0 && c.RatePerMinute <= maxRate,
		"%d: want 0 (no limit) to %d", c.RatePerMinute, maxRate)
	check("METRICS_TOKEN", c.MetricsToken == "" || len(c.MetricsToken) >= 16, "is too short to keep anybody out; want 16 characters or more")
	check("SLOW_QUERY_MS", c.SlowQueryMS >= 0, "%d: want 0 (off) or more", c.SlowQueryMS)
	check("REGISTRATION", c.Registration == "open" || c.Registration == "closed", "%q: want open or closed", c.Registration)
	for _, o := range c.CORSOrigins {
		u, err := url.Parse(o)
		check("CORS_ORIGINS", err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") && u.Path == "",
			"%q: want an origin like https://board.example, without a path and without *", o)
	}
	for _, p := range c.TrustedProxies {
		_, errNet := netip.ParsePrefix(p)
		_, errAddr := netip.ParseAddr(p)
		check("TRUSTED_PROXIES", errNet == nil || errAddr == nil, "%q is neither an address nor a network like 10.0.0.0/8", p)
	}
	allow, err := webhook.ParseAllow(c.WebhookAllow)
	check("WEBHOOK_ALLOW", err == nil, "%v", err)
	for name, schedule := range map[string]string{"BACKUP_SCHEDULE": c.BackupSchedule, "MAINTENANCE_SCHEDULE": c.Maintenance} {
		if schedule != "" && schedule != never {
			_, err := cron.ParseStandard(schedule)
			check(name, err == nil, "%q: want five fields of cron like \"0 2 * * *\" (UTC), @daily, or off", schedule)
		}
	}
	if c.BackupRecipient != "" {
		_, err := age.ParseX25519Recipient(c.BackupRecipient)
		check("BACKUP_AGE_RECIPIENT", err == nil, "want a public key of age, which starts with age1")
	}
	check("BACKUP_BUCKET", c.BackupBucket == "" || address(c.BackupBucket, "https", "http"),
		"want the address of a bucket like https://s3.example.com/bucket/folder")
	if c.OTLPEndpoint != "" {
		err := tracing.CheckEndpoint(c.OTLPEndpoint)
		check("OTEL_EXPORTER_OTLP_ENDPOINT", err == nil, "%v", err)
	}
	if c.AlertWebhook != "" {
		_, err := allow.Check(c.AlertWebhook)
		check("ALERT_WEBHOOK", err == nil, "%v Want an address like https://hooks.example.com/kanban", err)
	}
	check("BACKUP_SHIP_TO", !strings.Contains(c.BackupShipTo, "://") || address(c.BackupShipTo, "https", "http"),
		"want a folder, or the address of a bucket like https://s3.example.com/bucket/folder")
	check("ALERT_WEBHOOK_SECRET", c.AlertSecret == "" || c.AlertWebhook != "", "is set, while ALERT_WEBHOOK is not")
	if c.AlertSecret != "" {
		err := webhook.CheckSecret(c.AlertSecret)
		check("ALERT_WEBHOOK_SECRET", err == nil, "%v", err)
	}
	for _, host := range c.TLSAutocert {
		check("TLS_AUTOCERT", strings.Contains(host, ".") && !strings.ContainsAny(host, "/:*"), "%q: want the name of a host like board.example.com", host)
	}
	check("TLS_AUTOCERT", len(c.TLSAutocert) == 0 || c.TLSCert == "", "is set together with TLS_CERT; want one of them")
	for name, key := range map[string]string{"SECRET_KEY": c.SecretKey, "SECRET_KEY_PREVIOUS": c.OldSecretKey} {
		err := auth.CheckKey(key)
		check(name, key == "" || err == nil, "%v: set it to the output of \"openssl rand -hex 32\", or leave it empty", err)
	}
	check("TLS_CERT", c.TLSCert != "" || c.TLSKey == "", "missing, while TLS_KEY is set")
	check("TLS_KEY", c.TLSKey != "" || c.TLSCert == "", "missing, while TLS_CERT is set")
	for name, file := range map[string]string{"TLS_CERT": c.TLSCert, "TLS_KEY": c.TLSKey} {
		if file != "" {
			_, err := os.Stat(file)
			check(name, err == nil, "%v", err)
		}
	}
	sortErrors(errs)
	return errs
}

// defaultDatabase is the file that must never be used for tests.
const defaultDatabase = "agent_kanban.db"

// databasePath is the file that DATABASE_URL names: sqlite:///./x and sqlite:///x
// are relative to the data directory, sqlite:////x is absolute, as in SQLAlchemy.
func (c *config) databasePath() (string, error) {
	switch path, isFile := strings.CutPrefix(c.DatabaseURL, "sqlite:///"); {
	case strings.HasPrefix(c.DatabaseURL, "postgres://"), strings.HasPrefix(c.DatabaseURL, "postgresql://"):
		return "", errors.New("this version keeps its log in SQLite only; want sqlite:///./agent_kanban.db")
	case !isFile || path == "" || strings.HasPrefix(path, ":memory:") || strings.Contains(path, "?"):
		return "", errors.New("want sqlite:///./agent_kanban.db (relative to DATA_DIR) or sqlite:////absolute/path.db")
	case filepath.IsAbs(path):
		return filepath.Clean(path), nil
	default:
		return filepath.Join(c.DataDir, path), nil
	}
}

// never switches a schedule off that has a default.
const never = "off"

// address reports whether text is a URL with one of the schemes and a host.
func address(text string, schemes ...string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && slices.Contains(schemes, u.Scheme)
}

// maxRate is one a microsecond: more cannot be told apart.
const maxRate = 60_000_000

// agentCommands is how many commands an agent may send: a minute's worth at
// once, then one after the other.
func (c *config) agentCommands() auth.Limit {
	if c.AgentPerMinute == 0 {
		return auth.Limit{Burst: -1}
	}
	return auth.Limit{Burst: c.AgentPerMinute, Every: time.Minute / time.Duration(c.AgentPerMinute)}
}

func (c *config) address() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }
