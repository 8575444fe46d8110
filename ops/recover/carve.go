package recover

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"os"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// Accounts is what the pages hold of accounts, and the log's id. It is for where
// SQLite cannot read the tables any more: pages may also hold what was deleted.
type Accounts struct {
	LogID       string
	Credentials map[int64]Credential // by user
	Tokens      map[int64]Token      // by id
}

// Credential is a row of credentials.
type Credential struct{ PasswordHash, UpdatedAt string }

// Token is a row of api_tokens. Times are "" where they are NULL.
type Token struct {
	UserID                                                     int64
	Name, Prefix, Role, Boards, CreatedAt, ExpiresAt, LastUsed string
	SHA                                                        []byte
	Revoked                                                    bool
}

// maxAccounts bounds what is remembered of each kind.
const maxAccounts = 200_000

// Carver reads rows out of the pages of a database whatever state its trees are
// in: it looks for what a row of the events table looks like, everywhere.
type Carver struct {
	pages    *pages
	accounts Accounts
}

// NewCarver reads copies of a database file and its WAL; either may be nil. The
// files stay open for as long as the Carver is used.
func NewCarver(db, wal *os.File) *Carver {
	// A nil *os.File is no nil interface.
	var dbFile, walFile file
	if db != nil {
		dbFile = db
	}
	if wal != nil {
		walFile = wal
	}
	return newCarver(dbFile, walFile)
}

func newCarver(db, wal file) *Carver {
	return &Carver{pages: openPages(db, wal), accounts: Accounts{Credentials: map[int64]Credential{}, Tokens: map[int64]Token{}}}
}

// Accounts returns what the sources came across so far.
func (c *Carver) Accounts() Accounts { return c.accounts }

// Sources are the pages of the database and the committed ones of the WAL, and
// apart from them, as less trusted, those of the WAL that no checksum proves.
func (c *Carver) Sources(name string) []Source {
	return []Source{
		{Name: "pages of " + name, Rows: func(ctx context.Context) iter.Seq2[Row, error] { return c.rows(ctx, true) }},
		{Name: "unproven pages of the WAL of " + name, Rows: func(ctx context.Context) iter.Seq2[Row, error] { return c.rows(ctx, false) }},
	}
}

func (c *Carver) rows(ctx context.Context, committed bool) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		p := c.pages
		for _, err := range p.problems {
			if committed && !yield(Row{}, err) {
				return
			}
		}
		buf := make([]byte, p.size)
		scan := func(from file, at, before int64) bool {
			if err := ctx.Err(); err != nil {
				yield(Row{}, err)
				return false
			}
			if err := p.read(from, at, buf); err != nil {
				return yield(Row{}, fmt.Errorf("read a page at byte %d: %w", at, err))
			}
			return c.page(buf, before, yield)
		}
		for n := int64(0); committed && n < p.count; n++ {
			if !scan(p.db, n*int64(p.size), math.MaxInt64) {
				return
			}
		}
		for _, f := range p.all {
			if f.committed == committed && !scan(p.wal, f.at, f.at) {
				return
			}
		}
	}
}

// page looks at every byte of a page: the table of cells in its head may be gone.
func (c *Carver) page(buf []byte, before int64, yield func(Row, error) bool) bool {
	c.logID(buf)
	for at := 2; at+4 < len(buf); at++ {
		if buf[at+1] != 0 || buf[at] < 4 || buf[at] > 90 {
			continue // no header of a record whose first column is NULL
		}
		if row, ok := c.event(buf, at, before); ok {
			if !yield(row, nil) {
				return false
			}
			continue
		}
		c.account(buf, at)
	}
	return true
}

// event reads the event whose record begins at buf[at:].
func (c *Carver) event(buf []byte, at int, from int64) (Row, bool) {
	serials, head, size, ok := eventShape.header(buf[at:])
	if !ok {
		serials, head, size, ok = oldEventShape.header(buf[at:])
	}
	if !ok {
		return Row{}, false
	}
	position, ok := before(buf, at, size)
	if !ok {
		return Row{}, false
	}
	here := local(size, c.pages.usable)
	if at+here > c.pages.usable {
		return Row{}, false
	}
	if here == size {
		return envelope(position, values(serials, bytes.Clone(buf[at+head:at+size])))
	}
	if at+here+4 > len(buf) {
		return Row{}, false
	}
	next := uint32(buf[at+here])<<24 | uint32(buf[at+here+1])<<16 | uint32(buf[at+here+2])<<8 | uint32(buf[at+here+3])
	var best Row
	found := false
	for which := range versions {
		record := c.pages.overflow(bytes.Clone(buf[at:at+here]), next, size, which, from)
		if record == nil {
			continue
		}
		if row, ok := envelope(position, values(serials, record[head:])); ok && (!found || best.Lost) {
			best, found = row, true
			if !row.Lost {
				break
			}
		}
	}
	return best, found
}

// envelope makes an event of the columns.
func envelope(position int64, v []value) (Row, bool) {
	if v == nil {
		return Row{}, false
	}
	str := func(i int) string { return string(v[i].bytes) }
	schema := v[4].number
	if schema < 0 || schema > math.MaxInt32 {
		return Row{}, false
	}
	e := events.Envelope{
		Position: position, Stream: str(1), Version: v[2].number, Type: events.Type(str(3)), Schema: int(schema),
		ID: str(5), RecordedAt: time.UnixMicro(v[6].number).UTC(),
		Actor:     events.Actor{Kind: events.ActorKind(str(7)), ID: v[8].number, Name: str(9)},
		CommandID: str(10), CorrelationID: str(11), CausationID: str(12), BoardID: v[13].number, TicketID: v[14].number,
	}
	copy(e.DataSHA[:], v[16].bytes)
	copy(e.Hash[:], v[17].bytes)
	if len(v) == len(eventShape) {
		if v[18].number < 0 || v[18].number > math.MaxInt32 {
			return Row{}, false
		}
		e.Chain = int(v[18].number)
		copy(e.ActorSHA[:], v[19].bytes)
	}
	row := Row{Event: e}
	if !v[15].null {
		if sha256.Sum256(v[15].bytes) == e.DataSHA {
			row.Event.Data = json.RawMessage(v[15].bytes)
		} else {
			row.Lost = true
		}
	}
	return row, true
}

// account keeps the newest row of an account's that was seen.
func (c *Carver) account(buf []byte, at int) {
	read := func(s shape) (id int64, v []value) {
		serials, head, size, ok := s.header(buf[at:])
		if !ok || at+size > c.pages.usable || local(size, c.pages.usable) != size {
			return 0, nil
		}
		if id, ok = before(buf, at, size); !ok {
			return 0, nil
		}
		return id, values(serials, buf[at+head:at+size])
	}
	if id, v := read(credentialShape); v != nil && bytes.HasPrefix(v[1].bytes, []byte("$argon2id$")) && stamped(v[2]) {
		got := Credential{PasswordHash: string(v[1].bytes), UpdatedAt: string(v[2].bytes)}
		if have, known := c.accounts.Credentials[id]; (!known && len(c.accounts.Credentials) < maxAccounts) || known && have.UpdatedAt < got.UpdatedAt {
			c.accounts.Credentials[id] = got
		}
	}
	if id, v := read(tokenShape); v != nil && stamped(v[7]) && (v[8].null || stamped(v[8])) && (v[9].null || stamped(v[9])) && json.Valid(v[6].bytes) {
		got := Token{
			UserID: v[1].number, Name: string(v[2].bytes), Prefix: string(v[3].bytes), SHA: bytes.Clone(v[4].bytes), Role: string(v[5].bytes),
			Boards: string(v[6].bytes), CreatedAt: string(v[7].bytes), ExpiresAt: string(v[8].bytes), LastUsed: string(v[9].bytes), Revoked: v[10].number != 0,
		}
		have, known := c.accounts.Tokens[id]
		got.Revoked = got.Revoked || have.Revoked // nothing makes it good again
		if (!known && len(c.accounts.Tokens) < maxAccounts) || known {
			c.accounts.Tokens[id] = got
		}
	}
}

// stamped reports whether the column is a time in the text form of such tables.
func stamped(v value) bool {
	_, err := time.Parse("2006-01-02 15:04:05.000000", string(v.bytes))
	return err == nil
}

// logID finds the record ('log_id', uuid) of the table meta.
func (c *Carver) logID(buf []byte) {
	mark := []byte("\x03\x19\x55log_id")
	for rest := buf; c.accounts.LogID == ""; {
		i := bytes.Index(rest, mark)
		if i < 0 || len(rest) < i+len(mark)+36 {
			return
		}
		rest = rest[i+len(mark):]
		id := rest[:36]
		if bytes.IndexFunc(id, func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'f') && r != '-' }) < 0 {
			c.accounts.LogID = string(id)
		}
	}
}
