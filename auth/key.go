package auth

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// KeyFile is the name of the generated signing key in the data directory.
const KeyFile = "secret-key"

// minKey is the shortest key HS256 may have: the size of its sum (RFC 7518, 3.2).
const minKey = 32

// knownKeys are what examples, tutorials and .env templates ship. A key that
// contains one of them is known to everybody, however long it is.
var knownKeys = []string{
	"your-super-secret", "your-secret", "your_secret", "super-secret", "supersecret", "super_secret",
	"secret-key", "secret_key", "secretkey", "mysecret", "my-secret", "my_secret",
	"changeme", "change-me", "change_me", "change-this", "change_this", "change-in-production",
	"replace-me", "replace_me", "replaceme", "replace-this", "placeholder", "insecure", "default-key",
	"password", "0123456789abcdef0123456789abcdef",
}

// LoadOrCreateKey returns the key that signs access tokens. A non-empty env (the
// value of SECRET_KEY) is used if it is strong enough; otherwise the key is kept
// in dir/secret-key with mode 0600 and generated on first use. Errors name what
// to change and never contain the key.
func LoadOrCreateKey(dir, env string) (Secret, error) {
	if env != "" {
		if err := CheckKey(env); err != nil {
			return Secret{}, fmt.Errorf("SECRET_KEY %w: set it to the output of \"openssl rand -hex 32\", or leave it empty to have one generated", err)
		}
		return Secret{env}, nil
	}
	path := filepath.Join(dir, KeyFile)
	key, err := readSecretFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createSecretFile(path, newSecret("")); err != nil && !errors.Is(err, fs.ErrExist) {
			return Secret{}, fmt.Errorf("keep a new signing key: %w", err)
		}
		key, err = readSecretFile(path)
	}
	if err != nil {
		return Secret{}, fmt.Errorf("read the signing key: %w", err)
	}
	if err := CheckKey(key.text); err != nil {
		return Secret{}, fmt.Errorf("the signing key in %s %w: delete the file to have a new one generated (everybody signs in again)", path, err)
	}
	return key, nil
}

// CheckKey returns why the key must not be used.
func CheckKey(key string) error {
	lower := strings.ToLower(key)
	for _, known := range knownKeys {
		if strings.Contains(lower, known) {
			return errors.New("is a well-known example value, so anybody could sign tokens with it")
		}
	}
	if lower == "secret" {
		return errors.New("is a well-known example value, so anybody could sign tokens with it")
	}
	if len(key) < minKey {
		return fmt.Errorf("is too short: %d bytes, at least %d are needed", len(key), minKey)
	}
	distinct := map[byte]struct{}{}
	for i := range len(key) {
		distinct[key[i]] = struct{}{}
	}
	if len(distinct) < 8 {
		return errors.New("repeats a few characters, so it can be guessed")
	}
	return nil
}

// readSecretFile reads the secret and takes it away from everybody but its
// owner, should a copy or a restore have widened the mode.
func readSecretFile(path string) (Secret, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return Secret{}, err
	}
	if !info.Mode().IsRegular() {
		return Secret{}, fmt.Errorf("%s is not a regular file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(path, 0o600); err != nil {
			return Secret{}, fmt.Errorf("others can read it: %w", err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return Secret{}, err
	}
	return Secret{strings.TrimSpace(string(text))}, nil
}

// createSecretFile writes the secret durably and completely or not at all: it
// is linked into place, which fails with fs.ErrExist where a file is already.
func createSecretFile(path string, secret Secret) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.WriteString(secret.text + "\n")
	if err == nil {
		err = tmp.Sync()
	}
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
