package recover

import (
	"bytes"
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// memory is a file that never was on a disk.
type memory struct{ *bytes.Reader }

func (m memory) Stat() (os.FileInfo, error) { return info{m.Size()}, nil }

type info struct{ size int64 }

func (i info) Size() int64      { return i.size }
func (info) Name() string       { return "" }
func (info) Mode() os.FileMode  { return 0 }
func (info) ModTime() time.Time { return time.Time{} }
func (info) IsDir() bool        { return false }
func (info) Sys() any           { return nil }

// sample is a small database with three events, one of which is larger than a
// page, and its WAL.
func sample(tb testing.TB) (db, wal []byte) {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "x.db")
	pool, err := sql.Open("sqlite", "file://"+path+"?_pragma=page_size(1024)&_pragma=journal_mode(WAL)&_pragma=wal_autocheckpoint(0)")
	if err != nil {
		tb.Fatal(err)
	}
	defer pool.Close()
	pool.SetMaxOpenConns(1)
	exec := func(text string, args ...any) {
		tb.Helper()
		if _, err := pool.Exec(text, args...); err != nil {
			tb.Fatal(err)
		}
	}
	exec(`CREATE TABLE events (position INTEGER PRIMARY KEY, stream TEXT, version INTEGER, type TEXT, schema INTEGER, id TEXT, recorded_at INTEGER,
		actor_kind TEXT, actor_id INTEGER, actor_name TEXT, command_id TEXT, correlation_id TEXT, causation_id TEXT, board_id INTEGER,
		ticket_id INTEGER, data TEXT, data_sha BLOB, hash BLOB) STRICT;
		CREATE TABLE credentials (user_id INTEGER PRIMARY KEY, password_hash TEXT, updated_at TEXT) STRICT;
		CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
		INSERT INTO meta VALUES ('log_id', '01234567-89ab-cdef-0123-456789abcdef');
		INSERT INTO credentials VALUES (7, '$argon2id$v=19$m=1,t=1,p=1$abc$def', '2025-08-20 12:00:00.000000');
		PRAGMA wal_checkpoint(TRUNCATE)`)
	list := chain(tb, 2, "text")
	list = append(list, chain(tb, 3, strings.Repeat("long ", 600))[2])
	for i := range list {
		e := &list[i]
		exec("INSERT INTO events VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", e.Position, e.Stream, e.Version, string(e.Type), e.Schema, e.ID,
			e.RecordedAt.UnixMicro(), string(e.Actor.Kind), e.Actor.ID, e.Actor.Name, e.CommandID, e.CorrelationID, e.CausationID, e.BoardID,
			e.TicketID, string(e.Data), e.DataSHA[:], e.Hash[:])
		if i == 0 {
			exec("PRAGMA wal_checkpoint(TRUNCATE)")
		}
	}
	if db, err = os.ReadFile(path); err == nil {
		wal, err = os.ReadFile(path + "-wal")
	}
	if err != nil {
		tb.Fatal(err)
	}
	return db, wal
}

// carved are the positions that the pages hold, and how many lost their data.
func carved(ctx context.Context, c *Carver) (positions map[int64]int, lost int, err error) {
	positions = map[int64]int{}
	for _, s := range c.Sources("x") {
		for row, failed := range s.Rows(ctx) {
			if failed != nil {
				err = failed
				continue
			}
			positions[row.Event.Position]++
			if row.Lost {
				lost++
			}
		}
	}
	return positions, lost, err
}

func TestCarverReadsDatabaseAndWAL(t *testing.T) {
	t.Parallel()
	db, wal := sample(t)
	c := newCarver(memory{bytes.NewReader(db)}, memory{bytes.NewReader(wal)})
	got, lost, err := carved(t.Context(), c)
	if err != nil || lost != 0 || got[1] == 0 || got[2] == 0 || got[3] == 0 {
		t.Errorf("positions %v, %d lost, %v, want 1, 2 and 3", got, lost, err)
	}
	if a := c.Accounts(); a.LogID != "01234567-89ab-cdef-0123-456789abcdef" || a.Credentials[7].UpdatedAt == "" {
		t.Errorf("accounts: %+v", a)
	}
	if len(c.pages.all) == 0 || !c.pages.all[len(c.pages.all)-1].committed {
		t.Error("the WAL is sound, so its last frame is committed")
	}
	// A WAL whose checksums break is unproven from there on, and still read.
	wal[40] ^= 1
	c = newCarver(nil, memory{bytes.NewReader(wal)})
	if c.pages.all[0].committed {
		t.Error("a frame with a wrong checksum counts as committed")
	}
	if got, _, _ := carved(t.Context(), c); got[2] == 0 {
		t.Errorf("positions %v, want 2", got)
	}
}

// Whatever the files hold, the carver ends and does not panic.
func FuzzCarver(f *testing.F) {
	db, wal := sample(f)
	f.Add(db, wal)
	f.Add(db[:3000], wal[:100])
	f.Add([]byte{}, []byte{})
	f.Add(bytes.Repeat([]byte{19, 0, 1, 0xff}, 2000), []byte("\x37\x7f\x06\x82\x00\x2d\xe2\x18\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, db, wal []byte) {
		if _, _, err := carved(t.Context(), newCarver(memory{bytes.NewReader(db)}, memory{bytes.NewReader(wal)})); err != nil {
			t.Skip(err)
		}
	})
}

// So does the reader of text.
func FuzzText(f *testing.F) {
	for _, e := range chain(f, 3, "text") {
		f.Add(e.JSON())
	}
	f.Add([]byte(`{"specversion":"1.0","id":"\`))
	f.Fuzz(func(t *testing.T, text []byte) {
		for row, err := range Text(t.Context(), bytes.NewReader(text)) {
			if err != nil || row.Event.Position < 1 {
				t.Errorf("%+v, %v", row, err)
			}
		}
	})
}
