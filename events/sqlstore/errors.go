package sqlstore

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/agent-kanban/agent-kanban/events"
)

// Errors of this package that callers tell apart. What a user may cause or
// meet is an *events.Error in the chain besides.
var (
	// ErrNoDatabase: there is no log where one was expected.
	ErrNoDatabase = errors.New("no database")
	// ErrReadOnly: the DB was opened with Options.ReadOnly.
	ErrReadOnly = errors.New("the database is open for reading only")
	// ErrFileDamaged: SQLite cannot follow the structure of the file.
	ErrFileDamaged = errors.New("damaged file")
	// ErrMoved: the file that was opened is no longer at its path.
	ErrMoved = errors.New("another file, or none, is where the database was")
	// ErrOldSQLite: the linked SQLite can corrupt a WAL database.
	ErrOldSQLite = errors.New("this SQLite has a bug that corrupts databases")
)

// LockedError says that another process holds the data directory. PID is 0
// where the holder has not written it yet.
type LockedError struct {
	Path string
	PID  int
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return e.Path + " is locked by another process"
	}
	return fmt.Sprintf("%s is locked by pid %d; stop that server first", e.Path, e.PID)
}

// TailError says that the newest rows of the log are damaged: Position is the
// first that does not fit. Reads go on, appends are refused, because whatever is
// chained to a damaged row could never be verified.
type TailError struct {
	Position int64
	Err      error // wraps events.ErrChainBroken
}

func (e *TailError) Error() string {
	return fmt.Sprintf("the log is damaged at position %d, so nothing can be written; run kanban verify, then restore a backup", e.Position)
}

// Unwrap gives the cause, and the form in which a user may see it.
func (e *TailError) Unwrap() []error {
	return []error{e.Err, &events.Error{Code: events.CodeUnavailable, Message: e.Error()}}
}

// rowError says that a row cannot be read as an event.
type rowError struct{ position int64 }

func (e *rowError) Error() string {
	return fmt.Sprintf("position %d: a column holds what it cannot: %v", e.position, events.ErrChainBroken)
}

func (e *rowError) Unwrap() error { return events.ErrChainBroken }

// wrap names the operation and puts in front of SQLite's errors what a user can
// do about them. It returns nil for nil.
func wrap(operation string, err error) error {
	if err == nil {
		return nil
	}
	var known *events.Error
	var cause *sqlite.Error
	if errors.As(err, &known) || !errors.As(err, &cause) {
		return fmt.Errorf("%s: %w", operation, err)
	}
	var told *events.Error
	switch code := cause.Code(); {
	case code == sqlite3.SQLITE_IOERR_SHMSIZE, code&0xff == sqlite3.SQLITE_FULL:
		told = events.Errorf(events.CodeStorageFull, "the disk is full: nothing was written; free some space and try again")
	case code&0xff == sqlite3.SQLITE_READONLY:
		told = events.Errorf(events.CodeUnavailable, "the database cannot be written: its file or disk is read only")
	case code&0xff == sqlite3.SQLITE_BUSY:
		told = events.Errorf(events.CodeUnavailable, "the database is busy in another process; try again in a moment")
	case code&0xff == sqlite3.SQLITE_IOERR:
		told = events.Errorf(events.CodeUnavailable, "the disk reports errors: nothing was written; look at the server's log")
	case code&0xff == sqlite3.SQLITE_CANTOPEN:
		told = events.Errorf(events.CodeUnavailable, "the database cannot be opened: check that its directory exists and may be written")
	case code&0xff == sqlite3.SQLITE_CORRUPT, code&0xff == sqlite3.SQLITE_NOTADB:
		told = events.Errorf(events.CodeUnavailable, "the database file is damaged")
		err = fmt.Errorf("%w: %w", ErrFileDamaged, err)
	default:
		return fmt.Errorf("%s: %w", operation, err)
	}
	return fmt.Errorf("%s: %w: %w", operation, told, err)
}

// cannotShare reports whether SQLite could not make the files beside a WAL
// database that even readers need.
func cannotShare(err error) bool {
	var cause *sqlite.Error
	if !errors.As(err, &cause) {
		return false
	}
	code := cause.Code() & 0xff
	return code == sqlite3.SQLITE_CANTOPEN || code == sqlite3.SQLITE_READONLY
}

// taken reports whether err says that a unique key exists already.
func taken(err error) bool {
	var cause *sqlite.Error
	if !errors.As(err, &cause) {
		return false
	}
	code := cause.Code()
	return code == sqlite3.SQLITE_CONSTRAINT_UNIQUE || code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY || code == sqlite3.SQLITE_CONSTRAINT_ROWID
}
