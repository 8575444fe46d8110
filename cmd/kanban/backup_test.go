package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/ops/backup"
)

// A server with a schedule and no backup yet takes one when it starts.
func TestServerTakesBackups(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, t.TempDir())
	s.cfg.BackupSchedule = "0 2 * * *"
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	// One at a time: when this one is done, that of the start is too.
	made, err := s.backups.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := s.degraded(); slices.Contains(got, "backup") {
		t.Errorf("degraded = %v", got)
	}
	if err := s.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	archive, err := backup.OpenArchive(t.Context(), made.Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Check(t.Context(), t.TempDir(), folds(nil)); err != nil {
		t.Error(err)
	}
}

// Each variable is either public, and then in backups, or private.
func TestBackupsHoldNoSecretConfiguration(t *testing.T) {
	t.Parallel()
	cfg := config{SecretKey: "s3cret", OldSecretKey: "s3cret", MetricsToken: "s3cret", AlertSecret: "s3cret", RedisURL: "s3cret"}
	public := cfg.public()
	for name, value := range public {
		if value == "s3cret" {
			t.Errorf("%s is in backups", name)
		}
	}
	if n := len(public) + len(private); n != len(variables()) {
		t.Errorf("%d variables are public and %d private, want %d together", len(public), len(private), len(variables()))
	}
}

// Nothing that lets somebody in is in a backup: neither in its files, nor in the
// manifest, nor by way of the configuration.
func TestBackupHoldsNoSecrets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newTestServer(t, dir)
	s.cfg.MetricsToken = "metrics-token-0123456789"
	s.cfg.AlertSecret = "whsec_0123456789"
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer s.close(context.Background()) //nolint:errcheck // checked elsewhere
	secrets := []string{s.cfg.MetricsToken, s.cfg.AlertSecret}
	for _, name := range []string{auth.KeyFile, "setup-token"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, strings.TrimSpace(string(text)))
	}
	made, err := s.backups.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	archive, err := backup.OpenArchive(t.Context(), made.Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	if err := archive.Extract(t.Context(), out); err != nil {
		t.Fatal(err)
	}
	manifest, err := json.Marshal(archive.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	database, err := os.ReadFile(filepath.Join(out, "agent_kanban.db"))
	if err != nil {
		t.Fatal(err)
	}
	if len(archive.Manifest.Files) != 1 {
		t.Errorf("files = %+v, want the database alone", archive.Manifest.Files)
	}
	for i, secret := range secrets {
		if secret == "" || bytes.Contains(append(manifest, database...), []byte(secret)) {
			t.Errorf("secret %d is in the backup, or empty", i)
		}
	}
}
