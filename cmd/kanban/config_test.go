package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// setup makes an empty working directory and an environment with only the given
// variables of ours. It cannot run in parallel: both belong to the process.
func setup(t *testing.T, dotenv string, vars map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for _, name := range variables() {
		t.Setenv(name, "") // restores it afterwards
		os.Unsetenv(name)
	}
	for name, value := range vars {
		t.Setenv(name, value)
	}
	if dotenv != "" {
		if err := os.WriteFile(dotEnv, []byte(dotenv), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestConfigDefaults(t *testing.T) {
	setup(t, "", nil)
	c, err := loadConfig("")
	if err != nil {
		t.Fatalf("loadConfig: %v", err)
	}
	if got, want := c.address(), "127.0.0.1:18000"; got != want {
		t.Errorf("address = %s, want %s", got, want)
	}
	if got, err := c.databasePath(); got != defaultDatabase || err != nil {
		t.Errorf("databasePath = %q, %v, want %q", got, err, defaultDatabase)
	}
	if c.Registration != "open" || c.Synchronous != "FULL" || c.AccessMinutes != 30 || c.RefreshDays != 7 ||
		c.AgentPerMinute != 600 {
		t.Errorf("defaults = %+v", c)
	}
}

func TestConfigEnvironmentWinsOverDotEnv(t *testing.T) {
	setup(t, "PORT=1111\nHOST=::1\nSECRET_KEY=\nACCESS_TOKEN_EXPIRE_MINUTES=\n", map[string]string{"PORT": "2222"})
	c, err := loadConfig("")
	if err != nil {
		t.Fatalf("loadConfig: %v", err)
	}
	if got, want := c.address(), "[::1]:2222"; got != want {
		t.Errorf("address = %s, want %s", got, want)
	}
	if c.AccessMinutes != 30 {
		t.Errorf("an empty variable gave %d, want the default 30", c.AccessMinutes)
	}
}

func TestConfigExampleFileIsValid(t *testing.T) {
	example, err := os.ReadFile(filepath.Join("..", "..", ".env.example"))
	if os.IsNotExist(err) {
		t.Skip("there is no .env.example")
	}
	if err != nil {
		t.Fatal(err)
	}
	setup(t, string(example), nil)
	if _, err := loadConfig(""); err != nil {
		t.Errorf("loadConfig with .env.example: %v", err)
	}
}

// Every mistake is reported at once, each with the name of its variable.
func TestConfigReportsAllErrorsAtOnce(t *testing.T) {
	setup(t, "PROT=18000\nLOG_LEVEL=loud\n", map[string]string{
		"PORT": "eighty", "DATABASE_URL": "postgres://db/kanban", "REDIS_URL": "localhost:6379",
		"NATS_URL": "nats://n", "NATS_LISTEN": "0.0.0.0:4222", "BACKUP_SCHEDULE": "every night",
		"MAINTENANCE_SCHEDULE": "61 * * * *", "BACKUP_BUCKET": "s3://bucket", "ALERT_WEBHOOK": "hooks", "ALERT_WEBHOOK_SECRET": "short-secret", "METRICS_TOKEN": "short-secret",
		"TLS_AUTOCERT": "*.example.com", "RATE_LIMIT_REQUESTS_PER_MINUTE": "-1", "MEMORY_THRESHOLD_MB": "0",
		"MONITORING_INTERVAL_SECONDS": "0", "REFRESH_TOKEN_EXPIRE_DAYS": "0", "SECRET_KEY_PREVIOUS": "changeme", "SECRET_KEY": "changeme",
		"CORS_ORIGINS": "[oops", "TRUSTED_PROXIES": "everyone", "REGISTRATION": "maybe", "DB_SYNCHRONOUS": "OFF",
		"TESTING": "perhaps", "ACCESS_TOKEN_EXPIRE_MINUTES": "0", "SLOW_QUERY_MS": "-1", "TLS_CERT": "/nowhere.pem",
		"BACKUP_AGE_RECIPIENT": "AGE-SECRET-KEY-1", "HOST": "a b", "RATE_LIMIT_BURST": "0",
		"AGENT_COMMANDS_PER_MINUTE": "-1", "WEBHOOK_ALLOW": `["hooks.internal","http://a/"]`,
		"OTEL_EXPORTER_OTLP_ENDPOINT": "grpc://me:pass-word@collector",
	})
	_, err := loadConfig("")
	if err == nil {
		t.Fatal("loadConfig accepted all of it")
	}
	for _, want := range []string{
		"PROT in .env is not a variable of this program; did you mean PORT?", "PORT: \"eighty\" is not a whole number",
		"LOG_LEVEL: \"loud\" is no level", "DATABASE_URL: ", "REDIS_URL: ", "NATS_URL: ", "NATS_LISTEN: ", "BACKUP_SCHEDULE: ",
		"CORS_ORIGINS: ", "TRUSTED_PROXIES: ", "REGISTRATION: ", "DB_SYNCHRONOUS: ", "TESTING: ",
		"ACCESS_TOKEN_EXPIRE_MINUTES: ", "SLOW_QUERY_MS: ", "TLS_CERT: ", "TLS_KEY: missing", "BACKUP_AGE_RECIPIENT: ", "HOST: ",
		"MAINTENANCE_SCHEDULE: ", "BACKUP_BUCKET: ", "ALERT_WEBHOOK: ", "ALERT_WEBHOOK_SECRET: is no signing secret", "METRICS_TOKEN: is too short", "TLS_AUTOCERT: ",
		"RATE_LIMIT_REQUESTS_PER_MINUTE: ", "MEMORY_THRESHOLD_MB: ", "MONITORING_INTERVAL_SECONDS: ", "REFRESH_TOKEN_EXPIRE_DAYS: ",
		"SECRET_KEY: ", "SECRET_KEY_PREVIOUS: ",
		"RATE_LIMIT_BURST: ", "AGENT_COMMANDS_PER_MINUTE: ", "WEBHOOK_ALLOW: \"http://a/\"",
		"OTEL_EXPORTER_OTLP_ENDPOINT: want an address",
	} {
		if !strings.Contains(err.Error(), "\n  "+want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
	for _, secret := range []string{"SECRET-KEY-1", "short-secret", "changeme", "pass-word"} {
		if !strings.Contains(err.Error(), secret) {
			continue
		}
		t.Errorf("the error shows the secret %s:\n%v", secret, err)
	}
	var usage *configError
	if !errors.As(err, &usage) || exitCode(err) != exitUsage {
		t.Errorf("exit code %d, want %d: a configuration is a part of the command line", exitCode(err), exitUsage)
	}
	if left, err := os.ReadDir("."); err != nil || len(left) != 1 { // .env itself
		t.Errorf("a start that was refused left %v (%v)", left, err)
	}
}

func TestConfigTestingNeverOnTheRealDatabase(t *testing.T) {
	for _, tc := range []struct {
		url  string
		fail bool
	}{
		{"sqlite:///./agent_kanban.db", true},
		{"sqlite:////srv/kanban/agent_kanban.db", true},
		{"sqlite:///./test.db", false},
	} {
		setup(t, "", map[string]string{"TESTING": "true", "DATABASE_URL": tc.url})
		if _, err := loadConfig(""); (err != nil) != tc.fail {
			t.Errorf("TESTING=true on %s: error %v, want one: %t", tc.url, err, tc.fail)
		}
	}
}

func TestConfigDatabasePath(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ url, want string }{
		{"sqlite:///./agent_kanban.db", "/data/agent_kanban.db"},
		{"sqlite:///sub/x.db", "/data/sub/x.db"},
		{"sqlite:////abs/x.db", "/abs/x.db"},
		{"sqlite://", ""},
		{"sqlite:///", ""},
		{"sqlite:///:memory:", ""},
		{"mysql://x", ""},
		{"sqlite:///x.db?mode=ro", ""},
	} {
		c := config{DataDir: "/data", DatabaseURL: tc.url}
		got, err := c.databasePath()
		if got != tc.want || (err != nil) != (tc.want == "") {
			t.Errorf("databasePath of %s = %q, %v, want %q", tc.url, got, err, tc.want)
		}
	}
}

func TestDotEnvThatCannotBeReadShowsNoSecret(t *testing.T) {
	setup(t, "SECRET_KEY=hunter2hunter2\nthis is = not\" valid 'at all\n", nil)
	if _, err := readEnv(); err == nil {
		t.Skip("the parser takes it")
	} else if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error shows the secret: %v", err)
	}
}

// The example names every variable, and nothing that serve would refuse.
func TestExampleNamesEveryVariable(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../.env.example")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if name, _, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "#"), "="); ok && !strings.ContainsAny(name, " (") {
			named[name] = true
		}
	}
	for _, name := range variables() {
		if !named[name] && name != "-" {
			t.Errorf(".env.example does not name %s", name)
		}
		delete(named, name)
	}
	for name := range named {
		t.Errorf(".env.example names %s, which serve does not know", name)
	}
}
