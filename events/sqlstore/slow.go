package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"strings"
	"time"

	"modernc.org/sqlite"
)

// watch is the connector of a pool whose statements are timed.
type watch struct {
	driver.Connector
	over time.Duration
	tell func(statement string, took time.Duration)
}

// open opens a pool; its slow statements are told if somebody wants to know.
func (o Options) open(dsn string) (*sql.DB, error) {
	c, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	if o.OnSlow != nil && o.Slow > 0 {
		c = &watch{Connector: c, over: o.Slow, tell: o.OnSlow}
	}
	return sql.OpenDB(c), nil
}

// Connect is driver.Connector.
func (w *watch) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := w.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &timedConn{c.(conn), w}, nil
}

func (w *watch) since(start time.Time, statement string) {
	if took := time.Since(start); took >= w.over {
		w.tell(Template(statement), took)
	}
}

// conn, stmt and rows are what the driver's types can do; by embedding them,
// the timed ones can do it too.
type (
	conn interface {
		driver.Conn
		driver.ConnBeginTx
		driver.ConnPrepareContext
		driver.ExecerContext
		driver.QueryerContext
		driver.Pinger
		driver.SessionResetter
		driver.Validator
		NewBackup(destination string) (*sqlite.Backup, error)
	}
	stmt interface {
		driver.Stmt
		driver.StmtExecContext
		driver.StmtQueryContext
	}
	rows interface {
		driver.Rows
		driver.RowsColumnTypeDatabaseTypeName
		driver.RowsColumnTypeLength
		driver.RowsColumnTypeNullable
		driver.RowsColumnTypePrecisionScale
		driver.RowsColumnTypeScanType
	}
)

type timedConn struct {
	conn
	watch *watch
}

// BeginTx is driver.ConnBeginTx.
func (c *timedConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	defer c.watch.since(time.Now(), "BEGIN")
	tx, err := c.conn.BeginTx(ctx, opts)
	if err != nil {
		return nil, err
	}
	return &timedTx{tx, c.watch}, nil
}

// PrepareContext is driver.ConnPrepareContext.
func (c *timedConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s, err := c.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return &timedStmt{s.(stmt), query, c.watch}, nil
}

// ExecContext is driver.ExecerContext.
func (c *timedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	defer c.watch.since(time.Now(), query)
	return c.conn.ExecContext(ctx, query, args)
}

// QueryContext is driver.QueryerContext.
func (c *timedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	start := time.Now()
	found, err := c.conn.QueryContext(ctx, query, args)
	return c.watch.rows(start, query, found, err)
}

type timedStmt struct {
	stmt
	query string
	watch *watch
}

// ExecContext is driver.StmtExecContext.
func (s *timedStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	defer s.watch.since(time.Now(), s.query)
	return s.stmt.ExecContext(ctx, args)
}

// QueryContext is driver.StmtQueryContext.
func (s *timedStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	start := time.Now()
	found, err := s.stmt.QueryContext(ctx, args)
	return s.watch.rows(start, s.query, found, err)
}

func (w *watch) rows(start time.Time, query string, found driver.Rows, err error) (driver.Rows, error) {
	if err != nil {
		w.since(start, query)
		return nil, err
	}
	return &timedRows{found.(rows), start, query, w}, nil
}

// timedRows end their statement when they are closed: SQLite finds a row when
// it is asked for, so that most of a query's time is spent on the way.
type timedRows struct {
	rows
	start time.Time
	query string
	watch *watch
}

// Close is driver.Rows.
func (r *timedRows) Close() error {
	defer r.watch.since(r.start, r.query)
	return r.rows.Close()
}

type timedTx struct {
	driver.Tx
	watch *watch
}

// Commit is driver.Tx.
func (t *timedTx) Commit() error {
	defer t.watch.since(time.Now(), "COMMIT")
	return t.Tx.Commit()
}

const longestTemplate = 4 << 10 // bytes

// Template returns a statement without the values in it: strings, numbers and
// blobs become ?, lists of them one ?, white space a blank, and comments
// nothing. What is quoted as a name stays. It never fails: text that is no SQL
// ends where it cannot be understood.
func Template(statement string) string {
	var b strings.Builder
	space := func() {
		if b.Len() > 0 && !strings.HasSuffix(b.String(), " ") {
			b.WriteByte(' ')
		}
	}
	value := func() {
		// A list tells by its first value what it is.
		if out := b.String(); !strings.HasSuffix(out, "?, ") && !strings.HasSuffix(out, "?,") {
			b.WriteByte('?')
			return
		}
		out := strings.TrimRight(b.String(), ", ")
		b.Reset()
		b.WriteString(out)
	}
	for i := 0; i < len(statement) && b.Len() < longestTemplate; {
		c := statement[i]
		switch {
		case c <= ' ':
			space()
			i++
		case c == '\'':
			value()
			i = quoted(statement, i)
		case (c == 'x' || c == 'X') && i+1 < len(statement) && statement[i+1] == '\'':
			value()
			i = quoted(statement, i+1)
		case c == '"' || c == '`':
			end := quoted(statement, i)
			b.WriteString(statement[i:end])
			i = end
		case c == '-' && strings.HasPrefix(statement[i:], "--"):
			end := strings.IndexByte(statement[i:], '\n')
			if end < 0 {
				end = len(statement) - i
			}
			i += end
		case c == '/' && strings.HasPrefix(statement[i:], "/*"):
			end := strings.Index(statement[i+2:], "*/")
			if end < 0 {
				return strings.TrimSpace(b.String())
			}
			i += end + 4
		case c == '?', digit(c), c == '.' && i+1 < len(statement) && digit(statement[i+1]):
			value()
			for i++; i < len(statement) && (letter(statement[i]) || digit(statement[i]) || statement[i] == '.'); i++ {
			}
		case letter(c):
			start := i
			for i < len(statement) && (letter(statement[i]) || digit(statement[i])) {
				i++
			}
			b.WriteString(statement[start:i])
		default:
			b.WriteByte(c)
			i++
		}
	}
	out := b.String()
	return strings.TrimSpace(out[:min(len(out), longestTemplate)])
}

// quoted returns the end of the text that begins with the quote at i: the next
// one that is not doubled, or the end of all.
func quoted(s string, i int) int {
	quote := s[i]
	for i++; i < len(s); i++ {
		if s[i] != quote {
			continue
		}
		if i+1 == len(s) || s[i+1] != quote {
			return i + 1
		}
		i++
	}
	return len(s)
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

func letter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c == '$' || c >= 0x80
}
