package backup

import (
	"archive/tar"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"github.com/agent-kanban/agent-kanban/ops/machine"
)

// Options of Create. Database and Out are required.
type Options struct {
	// Database is the file that holds the log.
	Database string
	// DataDir has recovered/ in it; "" = the folder of the database.
	DataDir string
	// Out is the folder that the archive goes to; it is made where it is missing.
	Out string
	// Recipient is a public key of age; "" = the archive is not encrypted.
	Recipient string
	// Version of the program, and Configuration without secrets, for the manifest.
	Version       string
	Configuration map[string]string
	// Progress is told how far a phase is ("copy" in pages, "compress" in bytes);
	// nil for nobody.
	Progress func(phase string, done, total int64)
	// Now is time.Now where nil.
	Now func() time.Time
}

// Made is an archive that Create wrote.
type Made struct {
	Path     string        `json:"path"`
	Size     int64         `json:"size_bytes"`
	Manifest Manifest      `json:"manifest"`
	Took     time.Duration `json:"took_ns"`
}

// Create takes a backup of a database that may be in use, and returns when it is
// safe on the disk. The archive appears under its name only then; an attempt
// that fails, or whose ctx ends, leaves nothing. Where the database is damaged
// it returns ErrSourceDamaged: a bad backup must not push out good ones.
func Create(ctx context.Context, o Options) (_ Made, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.DataDir = cmp.Or(o.DataDir, filepath.Dir(o.Database))
	if o.Progress == nil {
		o.Progress = func(string, int64, int64) {}
	}
	began := time.Now()
	if info, err := os.Stat(o.Database); err != nil {
		return Made{}, fmt.Errorf("backup: %w", err)
	} else if info.Size() == 0 {
		return Made{}, fmt.Errorf("backup: %s is empty: %w", o.Database, fs.ErrNotExist)
	}
	for _, path := range []*string{&o.Database, &o.DataDir, &o.Out} {
		if *path, err = filepath.Abs(*path); err != nil {
			return Made{}, fmt.Errorf("backup: %w", err)
		}
	}
	w, err := newWorkshop(o.Out, createPrefix)
	if err != nil {
		return Made{}, fmt.Errorf("backup: %w", err)
	}
	defer func() { err = errors.Join(err, w.close()) }()
	made, err := o.create(ctx, w)
	if err != nil {
		return Made{}, fmt.Errorf("backup: %w", err)
	}
	made.Took = time.Since(began)
	return made, nil
}

func (o *Options) create(ctx context.Context, w *workshop) (Made, error) {
	if err := o.room(); err != nil {
		return Made{}, err
	}
	database := w.path(databaseName)
	if err := copyDatabase(ctx, brisk(ctx), o.Database, database, func(done, total int64) { o.Progress("copy", done, total) }); err != nil {
		return Made{}, fmt.Errorf("copy the database: %w", err)
	}
	m, err := survey(ctx, easy(ctx), database)
	if err != nil {
		return Made{}, err
	}
	m.Time, m.Version, m.Configuration = o.Now().UTC().Truncate(time.Microsecond), o.Version, o.Configuration
	sources := []string{database}
	recovered, err := recoveredFiles(o.DataDir)
	if err != nil {
		return Made{}, err
	}
	for i, source := range append(sources, recovered...) {
		name := databaseName
		if i > 0 {
			name = recoveredFolder + "/" + filepath.Base(source)
			sources = append(sources, source)
		}
		size, sum, err := sumFile(ctx, source)
		if err != nil {
			return Made{}, err
		}
		m.Files = append(m.Files, File{Name: name, Size: size, SHA256: sum})
	}
	file := w.path("archive")
	size, err := o.pack(ctx, file, m, sources)
	if err != nil {
		return Made{}, fmt.Errorf("write the archive: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return Made{}, err
	}
	path, err := publish(file, o.Out, Name{Time: m.Time, Position: m.Position, Encrypted: o.Recipient != ""})
	return Made{Path: path, Size: size, Manifest: m}, err
}

// room makes sure that the disk holds the copy and, at worst, an archive of the
// same size.
func (o *Options) room() error {
	var need int64
	for _, ending := range []string{"", "-wal"} {
		size, err := machine.FileSize(o.Database + ending)
		if err != nil {
			return err
		}
		need += 2 * size
	}
	if space, err := machine.Disk(o.Out); err == nil && space.Free < need {
		return fmt.Errorf("it may need %d bytes and %s has %d free; make room there, or choose another folder", need, o.Out, space.Free)
	}
	return nil
}

// recoveredFiles lists what only the stream held after an accident.
func recoveredFiles(dataDir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(escapeGlob(dataDir), recoveredFolder, "*.jsonl"))
	files = slices.DeleteFunc(files, func(f string) bool { return !isRecovered(recoveredFolder + "/" + filepath.Base(f)) })
	return files, err
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// pack writes the archive and makes sure that it is on the disk.
func (o *Options) pack(ctx context.Context, path string, m Manifest, sources []string) (size int64, err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	out := io.Writer(file)
	var sealed io.WriteCloser
	if o.Recipient != "" {
		recipient, err := age.ParseX25519Recipient(o.Recipient)
		if err != nil {
			return 0, fmt.Errorf("the recipient: %w", err)
		}
		if sealed, err = age.Encrypt(file, recipient); err != nil {
			return 0, err
		}
		out = sealed
	}
	// One goroutine and a window of 1 MiB: a backup has no hurry, and its memory
	// counts against the server's.
	packed, err := zstd.NewWriter(out, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return 0, err
	}
	err = o.entries(ctx, tar.NewWriter(packed), m, sources)
	err = errors.Join(err, packed.Close())
	if sealed != nil {
		err = errors.Join(err, sealed.Close())
	}
	if err := errors.Join(err, file.Sync()); err != nil {
		return 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (o *Options) entries(ctx context.Context, w *tar.Writer, m Manifest, sources []string) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	header := func(name string, size int64) *tar.Header {
		return &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: m.Time, Format: tar.FormatPAX}
	}
	if err := w.WriteHeader(header(manifestName, int64(len(text)))); err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	total, done, p := m.Size(), int64(0), easy(ctx)
	for i, f := range m.Files {
		if err := w.WriteHeader(header(f.Name, f.Size)); err != nil {
			return err
		}
		n, err := entry(p, w, sources[i], func(n int64) { o.Progress("compress", done+n, total) })
		if err != nil {
			return err
		}
		if n != f.Size {
			return fmt.Errorf("%s has changed meanwhile; try again", f.Name)
		}
		done += n
	}
	return w.Close()
}

// entry copies a file.
func entry(p *pace, w io.Writer, path string, progress func(done int64)) (done int64, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	in := p.reader(file)
	for {
		n, err := io.CopyN(w, in, 1<<20)
		done += n
		progress(done)
		if errors.Is(err, io.EOF) {
			return done, nil
		}
		if err != nil {
			return done, err
		}
	}
}
