package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/agent-kanban/agent-kanban/migrations"
)

// Options says which database to open, and how. Only Path is required.
type Options struct {
	// Path of the database file.
	Path string
	// Create allows a new database where there is none. Without it a missing
	// file is an error: a server that starts empty because a path was mistyped
	// or a disk not mounted looks exactly like one that lost everything.
	Create bool
	// ReadOnly opens for reading beside a running server: no migrations, no
	// lock, every write fails with ErrReadOnly.
	ReadOnly bool
	// Synchronous of the appending connection: "FULL" (the default: a commit
	// survives a power cut) or "NORMAL" (the last commits may not).
	Synchronous string
	// Readers is the largest number of connections that read at once, 4 when 0.
	Readers int
	// Checkpoint is the length of the WAL in pages of 4 KiB at which a commit
	// copies it back into the database, 1000 when 0.
	Checkpoint int
	// BusyTimeout is how long to wait for another process that writes, 5 s
	// when 0.
	BusyTimeout time.Duration
	// TailRows is how many of the newest rows are verified at the start, 256
	// when 0.
	TailRows int
	// OnSlow is told of every statement that took longer than Slow, with the
	// values in it taken out: from its begin to the last row that was asked for.
	// Nothing is timed when one of them is zero.
	Slow   time.Duration
	OnSlow func(statement string, took time.Duration)
	// Appended is told of every durable commit of the log that succeeded: events,
	// time to insert them, time to commit. Nobody when nil.
	Appended func(count int, insert, commit time.Duration)
	// ProbeEvery is the least time between two tries to write after a write has
	// failed, 1 s when 0; see DB.Writable.
	ProbeEvery time.Duration
	// BeforeMigrate is called where a database lacks migrations, before they are
	// applied; its error keeps the database as it is and ends Open. It may read the
	// file through a connection of its own. It is not called for a new database.
	BeforeMigrate func(ctx context.Context) error
	// Logger receives warnings; none when nil.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	o.Synchronous = strings.ToUpper(cmp.Or(o.Synchronous, "FULL"))
	o.Readers = cmp.Or(o.Readers, 4)
	o.Checkpoint = cmp.Or(o.Checkpoint, 1000)
	o.BusyTimeout = cmp.Or(o.BusyTimeout, 5*time.Second)
	o.TailRows = cmp.Or(o.TailRows, 256)
	o.ProbeEvery = cmp.Or(o.ProbeEvery, time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o Options) validate() error {
	var errs []error
	if o.Path == "" {
		errs = append(errs, errors.New("path is empty"))
	}
	if o.Synchronous != "FULL" && o.Synchronous != "NORMAL" {
		errs = append(errs, fmt.Errorf("synchronous is %q, want FULL or NORMAL", o.Synchronous))
	}
	if o.Readers < 0 || o.Checkpoint < 0 || o.BusyTimeout < 0 || o.TailRows < 0 || o.ProbeEvery < 0 {
		errs = append(errs, errors.New("numbers must not be negative"))
	}
	if o.Create && o.ReadOnly {
		errs = append(errs, errors.New("create and read only exclude each other"))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("options of the database: %w", err)
	}
	return nil
}

// Open opens the database, applies what migrations it lacks, and verifies the
// newest rows of the log: damage there lets reads work and makes Append fail
// with a *TailError. The caller closes the DB.
//
// Errors: ErrNoDatabase, ErrOldSQLite, migrations.ErrNewer,
// migrations.ErrForeign, with ReadOnly also migrations.ErrPending, or an
// *events.Error about the disk.
func Open(ctx context.Context, o Options) (*DB, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := o.prepareFile(path); err != nil {
		return nil, err
	}
	db := &DB{path: path, options: o, turn: make(chan struct{}, 1)}
	if err := db.open(ctx); err != nil {
		return nil, errors.Join(wrap("open "+path, err), db.Close())
	}
	return db, nil
}

// prepareFile sees to the file before SQLite does. It never opens one that
// exists: closing it again would drop the locks SQLite holds on it in this
// process.
func (o Options) prepareFile(path string) error {
	if kind := networkFS(filepath.Dir(path)); kind != "" {
		o.Logger.Warn("the database is on a network file system, which can corrupt it; move it to a local disk",
			"path", path, "file_system", kind)
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("open %s: it is a directory", path)
	case err == nil && info.Size() == 0 && !o.Create:
		return fmt.Errorf("open %s: the file is empty: %w", path, ErrNoDatabase)
	case err == nil:
		if info.Mode().Perm()&0o077 != 0 {
			o.Logger.Warn("the database can be read by other users of this machine; chmod 600 it",
				"path", path, "mode", info.Mode().Perm().String())
		}
		return nil
	case !errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("open database: %w", err)
	case !o.Create:
		return fmt.Errorf("open %s: there is no such file: %w", path, ErrNoDatabase)
	}
	// SQLite gives -wal and -shm the mode of this file.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("create database: %w", err)
	}
	return file.Close()
}

func (db *DB) open(ctx context.Context) error {
	o := db.options
	err := checkVersion(ctx)
	if err != nil {
		return err
	}
	if o.ReadOnly {
		if err := db.openReader(ctx); err != nil {
			return err
		}
	} else {
		if db.writer, err = db.openWriter(); err != nil {
			return err
		}
		state := migrations.Check(ctx, db.writer)
		if !o.Create && errors.Is(state, migrations.ErrEmpty) {
			return fmt.Errorf("%w: %w", state, ErrNoDatabase)
		}
		if o.BeforeMigrate != nil && errors.Is(state, migrations.ErrPending) {
			if err := o.BeforeMigrate(ctx); err != nil {
				return err
			}
		}
		if err := migrations.Apply(ctx, db.writer); err != nil {
			return err
		}
		if err := db.assertPragmas(ctx); err != nil {
			return err
		}
		if err := db.openReader(ctx); err != nil {
			return err
		}
		if err := db.name(ctx); err != nil {
			return err
		}
		if db.file, err = os.Stat(db.path); err != nil {
			return err
		}
		if err := db.prepare(ctx); err != nil {
			return err
		}
	}
	if err := db.readers.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = 'log_id'").Scan(&db.logID); err != nil {
		return fmt.Errorf("read log id: %w", err)
	}
	if err := db.CheckTail(ctx); err != nil && db.TailError() == nil {
		return err
	}
	return nil
}

// dsn builds the address. busy_timeout comes first: the pragmas after it may
// already have to wait.
func (db *DB) dsn(mode string, pragmas ...string) string {
	values := url.Values{"_txlock": {"immediate"}, "mode": {mode}}
	query := "_pragma=busy_timeout(" + strconv.FormatInt(db.options.BusyTimeout.Milliseconds(), 10) + ")"
	for _, pragma := range pragmas {
		query += "&_pragma=" + url.QueryEscape(pragma)
	}
	address := url.URL{Scheme: "file", Path: filepath.ToSlash(db.path)}
	return address.String() + "?" + query + "&" + values.Encode()
}

// openWriter opens a pool of exactly one connection, which lives as long as the
// DB and starts out durable.
func (db *DB) openWriter() (*sql.DB, error) {
	pool, err := db.options.open(db.dsn("rw",
		"journal_mode(WAL)",
		"synchronous("+db.options.Synchronous+")",
		"wal_autocheckpoint("+strconv.Itoa(2*db.options.Checkpoint)+")",
		"journal_size_limit(67108864)",
		"cache_size(-4000)",
		"foreign_keys(1)",
		// Makes the triggers fire for rows that INSERT OR REPLACE removes.
		"recursive_triggers(1)",
	))
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(1)
	pool.SetMaxIdleConns(1)
	return pool, nil
}

// openReader opens the pool that cannot write.
func (db *DB) openReader(ctx context.Context) error {
	open := func(mode string) (err error) {
		dsn := db.dsn(mode, "query_only(1)", "cache_size(-2000)")
		if mode == "immutable" {
			dsn = strings.Replace(db.dsn("ro", "query_only(1)", "cache_size(-2000)"), "mode=ro", "mode=ro&immutable=1", 1)
		}
		if db.readers, err = db.options.open(dsn); err != nil {
			return err
		}
		db.readers.SetMaxOpenConns(db.options.Readers)
		db.readers.SetMaxIdleConns(db.options.Readers)
		// A connection that nobody needs gives its memory back.
		db.readers.SetConnMaxIdleTime(time.Minute)
		if err := migrations.Check(ctx, db.readers); errors.Is(err, migrations.ErrEmpty) {
			return errors.Join(fmt.Errorf("%w: %w", err, ErrNoDatabase), db.readers.Close())
		} else if err != nil {
			return errors.Join(err, db.readers.Close())
		}
		return nil
	}
	err := open("ro")
	if err == nil || !db.options.ReadOnly || !cannotShare(err) {
		return err
	}
	// A WAL database on a read-only disk: its shared memory cannot be made, and
	// nobody else can be writing either. With a WAL beside it the newest events
	// would be missing, so that stays an error.
	if info, statErr := os.Stat(db.path + "-wal"); statErr == nil && info.Size() > 0 {
		return err
	}
	return open("immutable")
}

// checkVersion refuses a SQLite whose WAL reset can corrupt the database. It
// asks in memory: opening the file may already recover and checkpoint its WAL.
func checkVersion(ctx context.Context) error {
	pool, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return err
	}
	defer pool.Close()
	var version string
	if err := pool.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version); err != nil {
		return err
	}
	return versionError(version)
}

// versionError returns nil for SQLite 3.51.3 and later.
func versionError(version string) error {
	const needed = 3_051_003
	var number int
	for part := range strings.SplitSeq(version+".0.0", ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return fmt.Errorf("SQLite version %q: %w", version, ErrOldSQLite)
		}
		if number = number*1000 + n; number >= 1_000_000 {
			break
		}
	}
	if number < needed {
		return fmt.Errorf("SQLite %s, need 3.51.3: %w", version, ErrOldSQLite)
	}
	return nil
}

// assertPragmas makes sure that durability is what was asked for: a pragma that
// SQLite cannot honour is ignored without an error.
func (db *DB) assertPragmas(ctx context.Context) error {
	levels := map[string]string{"NORMAL": "1", "FULL": "2"}
	for _, level := range []durability{relaxed, durable} {
		if err := db.setLevel(ctx, level); err != nil {
			return fmt.Errorf("set durability: %w", err)
		}
		synchronous := levels[db.options.Synchronous]
		if level == relaxed {
			synchronous = levels["NORMAL"]
		}
		for name, want := range map[string]string{"journal_mode": "wal", "synchronous": synchronous} {
			var got string
			if err := db.writer.QueryRowContext(ctx, "PRAGMA "+name).Scan(&got); err != nil {
				return fmt.Errorf("read %s: %w", name, err)
			}
			if got != want {
				return fmt.Errorf("%s is %s, want %s: this file system cannot keep the log safe", name, got, want)
			}
		}
	}
	return nil
}

// name gives a new log its id.
func (db *DB) name(ctx context.Context) error {
	id, err := uuid.NewRandom()
	if err != nil {
		return fmt.Errorf("make log id: %w", err)
	}
	_, err = db.writer.ExecContext(context.WithoutCancel(ctx),
		"INSERT INTO meta (key, value) SELECT 'log_id', ? WHERE NOT EXISTS (SELECT 1 FROM meta WHERE key = 'log_id')", id.String())
	if err != nil {
		return fmt.Errorf("store log id: %w", err)
	}
	return nil
}
