package main

import (
	"slices"
	"testing"

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
