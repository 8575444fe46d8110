package auth

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// PreviousKeyFile is the name of the key that RotateKey replaced: the key, and
// on a second line when that was.
const PreviousKeyFile = KeyFile + ".previous"

// RotateKey replaces the generated signing key in dir. With keep the old one is
// put beside it, so that the server accepts what it signed until it expires; without,
// every access token ends at once. Sessions go on: their refresh tokens do not
// depend on the key. Hold the lock of the data directory.
func RotateKey(dir string, now time.Time, keep bool) error {
	path := filepath.Join(dir, KeyFile)
	old, err := readSecretFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the signing key: %w", err)
	}
	previous := filepath.Join(dir, PreviousKeyFile)
	if err == nil && keep && CheckKey(old.text) == nil {
		err = replaceSecretFile(previous, old.text+"\n"+now.UTC().Format(time.RFC3339)+"\n")
	} else if err = os.Remove(previous); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("put the old signing key aside: %w", err)
	}
	if err := replaceSecretFile(path, newSecret("").text+"\n"); err != nil {
		return fmt.Errorf("keep a new signing key: %w", err)
	}
	return nil
}

// LoadPreviousKey returns the key that was replaced and until when what it
// signed is accepted: for life after the rotation, the life of an access token.
// It returns no key where there is none or that time is over; the file is
// deleted then.
func LoadPreviousKey(dir string, now time.Time, life time.Duration) (key Secret, until time.Time, err error) {
	path := filepath.Join(dir, PreviousKeyFile)
	text, err := readSecretFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Secret{}, time.Time{}, nil
	}
	if err != nil {
		return Secret{}, time.Time{}, fmt.Errorf("read the previous signing key: %w", err)
	}
	first, second, _ := strings.Cut(text.text, "\n")
	rotated, err := time.Parse(time.RFC3339, strings.TrimSpace(second))
	// A rotation in the future would never end: the clock was wrong then or is now.
	if until = rotated.Add(life); err != nil || !now.Before(until) || rotated.After(now.Add(life)) {
		if err := os.Remove(path); err != nil {
			return Secret{}, time.Time{}, fmt.Errorf("delete the previous signing key: %w", err)
		}
		return Secret{}, time.Time{}, nil
	}
	return Secret{strings.TrimSpace(first)}, until, nil
}

// replaceSecretFile writes the text durably, in place of what was there.
func replaceSecretFile(path, text string) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // gone after the rename
	_, err = tmp.WriteString(text)
	if err == nil {
		err = tmp.Sync()
	}
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
