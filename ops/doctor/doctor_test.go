package doctor_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/ops/doctor"
)

func TestRunRepairsAndLooksAgain(t *testing.T) {
	t.Parallel()
	mended := false
	look := func(context.Context) doctor.Finding {
		if mended {
			return doctor.Okay("fine")
		}
		return doctor.Warning("mend it", "broken")
	}
	checks := []doctor.Check{
		{Name: "a", Look: look, Repair: func(context.Context) (string, error) { mended = true; return "mended", nil }},
		{Name: "b", Look: func(context.Context) doctor.Finding { return doctor.Okay("") }, Repair: func(context.Context) (string, error) {
			return "", errors.New("nothing to repair")
		}},
	}
	if r := doctor.Run(t.Context(), checks, false, nil); r.Worst != doctor.Warn || r.Results[0].Repaired != "" || mended {
		t.Errorf("without repair: %+v", r)
	}
	if r := doctor.Run(t.Context(), checks, true, nil); r.Worst != doctor.OK || r.Results[0].Repaired != "mended" {
		t.Errorf("with repair: %+v", r)
	}
	checks[0] = doctor.Check{Name: "a", Look: func(context.Context) doctor.Finding { return doctor.Warning("", "broken") }, Repair: func(context.Context) (string, error) {
		return "", errors.New("no")
	}}
	if r := doctor.Run(t.Context(), checks, true, nil); r.Worst != doctor.Fail || !strings.Contains(r.Results[0].Detail, "the repair failed: no") {
		t.Errorf("a repair that fails: %+v", r)
	}
}

func TestPrivateAndLeftovers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"secret": 0o640, "log": 0o644, "good": 0o600, ".half-1": 0o600} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, row := range []struct {
		check      doctor.Check
		want       doctor.Level
		afterwards doctor.Level
	}{
		{doctor.Private("p", []string{in("good")}, []string{in("lo*"), in("missing")}), doctor.Warn, doctor.OK},
		{doctor.Private("p", []string{in("se*")}, nil), doctor.Fail, doctor.OK},
		{doctor.Leftovers(in(".half-*")), doctor.Warn, doctor.OK},
		{doctor.Disk(dir, 1), doctor.OK, doctor.OK},
		{doctor.Disk(dir, 1<<60), doctor.Fail, doctor.Fail},
		{doctor.Disk(in("missing"), 1), doctor.Fail, doctor.Fail},
	} {
		if r := doctor.Run(t.Context(), []doctor.Check{row.check}, false, nil); r.Worst != row.want && (row.check.Name != "disk" || r.Worst != doctor.Warn) {
			t.Errorf("%+v, want %s", r, row.want)
		}
		if r := doctor.Run(t.Context(), []doctor.Check{row.check}, true, nil); r.Worst != row.afterwards && (row.check.Name != "disk" || r.Worst != doctor.Warn) {
			t.Errorf("after the repair: %+v, want %s", r, row.afterwards)
		}
	}
	if info, err := os.Stat(in("secret")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("secret: %v %v", info, err)
	}
}

func TestCertificate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now, NotAfter: now.Add(90 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for after, want := range map[time.Duration]doctor.Level{
		-time.Second: doctor.Fail, time.Hour: doctor.OK, 80 * 24 * time.Hour: doctor.Warn, 90 * 24 * time.Hour: doctor.Fail,
	} {
		if f := doctor.Certificate(certFile, keyFile, now.Add(after)).Look(t.Context()); f.Level != want {
			t.Errorf("after %s: %+v, want %s", after, f, want)
		}
	}
	if err := os.Chmod(keyFile, 0o644); err != nil {
		t.Fatal(err)
	}
	if f := doctor.Certificate(certFile, keyFile, now.Add(time.Hour)).Look(t.Context()); f.Level != doctor.Fail {
		t.Errorf("a key that all can read: %+v", f)
	}
	if f := doctor.Certificate(certFile, certFile, now.Add(time.Hour)).Look(t.Context()); f.Level != doctor.Fail {
		t.Errorf("no key: %+v", f)
	}
}

func TestPublic(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{"127.0.0.1": false, "::1": false, "localhost": false, "0.0.0.0": true, "10.0.0.1": true, "board.example": true} {
		if got := doctor.Public(host); got != want {
			t.Errorf("%s: %v", host, got)
		}
	}
}
