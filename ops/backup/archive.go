package backup

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/ops/machine"
)

// Archive is a backup whose manifest was read. Nothing else of it was yet.
type Archive struct {
	Path      string
	Size      int64 // bytes of the file
	Encrypted bool
	Manifest  Manifest

	identities []age.Identity
}

// OpenArchive reads the manifest of an archive. Identities are the secret keys
// that may open it, nil where it is not encrypted. Errors: ErrDamaged,
// ErrEncrypted, or that of the file.
func OpenArchive(ctx context.Context, path string, identities []age.Identity) (*Archive, error) {
	a := &Archive{Path: path, identities: identities}
	err := a.walk(ctx, nil)
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("open backup %s: %w", path, err)
	}
	return a, nil
}

// errEnough ends a walk after the manifest.
var errEnough = errors.New("enough")

// maxManifest bounds what is read before anything is known about a file.
const maxManifest = 1 << 20

// Extract writes the files of the archive into a folder, which is made where it
// is missing, and checks each: names, sizes, sums, and that nothing comes after
// them. Where it returns an error, what it wrote is gone again. The database is
// then a file that no server has opened yet; see Check.
func (a *Archive) Extract(ctx context.Context, dir string) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("extract backup: %w", err)
	}
	if space, err := machine.Disk(dir); err == nil && space.Free < a.Manifest.Size() {
		return fmt.Errorf("extract backup: it needs %d bytes and %s has %d free; make room first", a.Manifest.Size(), dir, space.Free)
	}
	var written []string
	defer func() {
		if err != nil {
			for _, path := range written {
				_ = os.Remove(path)
			}
		}
	}()
	next := 0
	err = a.walk(ctx, func(name string, size int64, content io.Reader) error {
		if next == len(a.Manifest.Files) {
			return fmt.Errorf("%w: there is a file %q that the manifest does not name", ErrDamaged, name)
		}
		want := a.Manifest.Files[next]
		next++
		if name != want.Name || size != want.Size {
			return fmt.Errorf("%w: there is %q of %d bytes where the manifest says %q of %d", ErrDamaged, name, size, want.Name, want.Size)
		}
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		sum, err := writeFile(path, content, func() { written = append(written, path) })
		if err != nil {
			return err
		}
		if sum != want.SHA256 {
			return fmt.Errorf("%w: %s has the sum %s, want %s", ErrDamaged, name, sum, want.SHA256)
		}
		return nil
	})
	if err == nil && next < len(a.Manifest.Files) {
		err = fmt.Errorf("%w: %s is missing", ErrDamaged, a.Manifest.Files[next].Name)
	}
	if err != nil {
		return fmt.Errorf("extract backup %s: %w", a.Path, err)
	}
	return nil
}

// writeFile writes a new file, safe on the disk when it returns.
func writeFile(path string, from io.Reader, made func()) (sum events.Hash, err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return sum, err
	}
	made()
	defer func() { err = errors.Join(err, file.Close()) }()
	hash := sha256.New()
	if _, err := io.Copy(io.MultiWriter(file, hash), from); err != nil {
		return sum, err
	}
	return events.Hash(hash.Sum(nil)), file.Sync()
}

// walk reads the archive from its beginning: the manifest, then each file, to
// the end. Whatever cannot be read is ErrDamaged.
func (a *Archive) walk(ctx context.Context, each func(name string, size int64, content io.Reader) error) error {
	file, err := os.Open(a.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil {
		a.Size = info.Size()
	}
	in, err := a.open(bufio.NewReaderSize(hurried(ctx).reader(file), 1<<16))
	if err != nil {
		return damaged(err)
	}
	plain, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		return damaged(err)
	}
	defer plain.Close()
	entries := tar.NewReader(plain)
	if err := a.readManifest(entries); err != nil {
		return damaged(err)
	}
	if each == nil {
		return errEnough
	}
	for {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && header.Typeflag != tar.TypeReg {
			err = fmt.Errorf("%q is no file", header.Name)
		}
		if err == nil {
			err = each(header.Name, header.Size, entries)
		}
		if err != nil {
			return damaged(err)
		}
	}
	// The sums of zstd and age are at the end of what they cover.
	n, err := io.Copy(io.Discard, plain)
	if err == nil && n > 0 {
		err = fmt.Errorf("%d bytes come after its end", n)
	}
	if err != nil {
		return damaged(err)
	}
	return nil
}

// open takes the encryption off, where there is one.
func (a *Archive) open(in *bufio.Reader) (io.Reader, error) {
	const magic = "age-encryption.org/"
	begin, err := in.Peek(len(magic))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	a.Encrypted = bytes.Equal(begin, []byte(magic))
	if !a.Encrypted {
		return in, nil
	}
	if len(a.identities) == 0 {
		return nil, fmt.Errorf("%w: give the file of its secret key with --identity", ErrEncrypted)
	}
	plain, err := age.Decrypt(in, a.identities...)
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return nil, fmt.Errorf("%w: none of the keys in --identity opens it", ErrEncrypted)
	}
	return plain, err
}

func (a *Archive) readManifest(entries *tar.Reader) error {
	header, err := entries.Next()
	if err != nil {
		return err
	}
	if header.Name != manifestName || header.Size > maxManifest {
		return fmt.Errorf("it begins with %q instead of %s: this is no backup of this program", header.Name, manifestName)
	}
	dec := json.NewDecoder(entries)
	var m Manifest
	if err := dec.Decode(&m); err != nil {
		return err
	}
	a.Manifest = m
	return m.validate()
}

// damaged says so, but leaves alone what is no damage: a full disk, the end of
// the caller's patience, a missing key.
func damaged(err error) error {
	var path *os.PathError
	switch {
	case errors.Is(err, ErrDamaged), errors.Is(err, ErrEncrypted), errors.As(err, &path),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// ReadIdentities reads a file of secret keys of age, one AGE-SECRET-KEY-… a line;
// "" gives none.
func ReadIdentities(path string) ([]age.Identity, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	ids, err := age.ParseIdentities(file)
	if err != nil {
		// The reason may quote the line, which is a secret.
		return nil, fmt.Errorf("%s holds no secret key of age (a line AGE-SECRET-KEY-1…, as age-keygen writes it)", path)
	}
	return ids, nil
}
