package events

import (
	"context"
	"database/sql"
	"iter"
	"time"
)

// Query selects events in ascending order of position, or in descending. Zero
// fields select everything; fields combine with AND.
type Query struct {
	After        int64     // positions above this one
	UpTo         int64     // positions up to and including this one
	Until        time.Time // recorded at or before
	Stream       string
	AfterVersion int64 // versions above this one; needs Stream
	BoardID      int64
	TicketID     int64
	Types        []Type
	Actor        string // actor's name
	CommandID    string
	Descending   bool // the newest first; a Limit then keeps the newest
	Limit        int  // 0 = DefaultLimit
}

// DefaultLimit is the size of a page: large enough to keep the cost of a
// statement out of sight, small enough that a reader never pins the WAL.
const DefaultLimit = 1000

// Reader reads the log. Implementations are safe for concurrent use.
type Reader interface {
	// Head returns the end of the log, the zero Head when it is empty.
	Head(ctx context.Context) (Head, error)
	// Read returns one page, at most q.Limit events; an empty page means that
	// nothing (more) matches.
	Read(ctx context.Context, q Query) ([]Envelope, error)
	// LogID identifies this log for ever: a client that resumes on another one
	// must start afresh.
	LogID() string
}

// Store is the log. One Tx is open at a time; Begin waits for its turn.
type Store interface {
	Reader
	// Begin opens the write transaction. Cancelling ctx ends the wait, not the
	// transaction.
	Begin(ctx context.Context) (Tx, error)
}

// Tx is one write transaction of the log.
type Tx interface {
	// Head returns the end of the log as the transaction sees it.
	Head() Head
	// Read is Reader.Read inside the transaction.
	Read(ctx context.Context, q Query) ([]Envelope, error)
	// Append adds sealed events that continue Head. It returns ErrConflict when
	// they do not, or when a stream's version is already taken. Appending a
	// DataRedacted empties the events that it names, erases the names that it
	// says, and drops every snapshot: they hold what is to be forgotten.
	Append(ctx context.Context, batch []Envelope) error
	// Commit makes everything durable, or nothing.
	Commit() error
	// Rollback discards the transaction; after Commit it does nothing.
	Rollback() error

	Ledger
	Snapshots
	Heartbeats

	// SQL is the transaction for tables that must change together with the
	// log: secrets of accounts and webhooks.
	SQL() *sql.Tx
}

// Ledger remembers commands, so that the same one is never carried out twice.
type Ledger interface {
	// Command returns what was recorded for the actor's command id.
	Command(ctx context.Context, id, actor string) (rec CommandRecord, found bool, err error)
	// Commands returns what was recorded for a command id, of every actor that
	// used it.
	Commands(ctx context.Context, id string) ([]CommandRecord, error)
	// Record stores the outcome of a command with its events' transaction.
	Record(ctx context.Context, rec CommandRecord) error
}

// CommandRecord is the memory of one accepted command. First and Last are the
// positions of its events; both are the head's position where it had none.
type CommandRecord struct {
	ID          string
	Actor       string // kind:id of the principal
	RequestSHA  Hash   // what was asked, to tell a repeat from a reused key
	First, Last int64
	Stream      string // stream of the last event
	Version     int64  // its version
	RecordedAt  time.Time
}

// Snapshots keep the folded state of a stream, to spare the fold of its past.
type Snapshots interface {
	// Snapshot returns the newest one of the stream with the given schema.
	Snapshot(ctx context.Context, stream string, schema int) (snap Snapshot, found bool, err error)
	// SaveSnapshot replaces the stream's snapshot.
	SaveSnapshot(ctx context.Context, snap Snapshot) error
}

// Snapshot is the state of a stream up to and including Version.
type Snapshot struct {
	Stream   string
	Version  int64
	Position int64
	Schema   int // of State; a snapshot of another schema is not used
	State    []byte
}

// Heartbeats keep how far leases were extended: too often for the log, and
// worth nothing once a lease has ended.
type Heartbeats interface {
	// Heartbeats returns the newest one of every ticket that has one.
	Heartbeats(ctx context.Context) ([]Heartbeat, error)
	// SaveHeartbeat replaces the ticket's.
	SaveHeartbeat(ctx context.Context, h Heartbeat) error
	// DropHeartbeat forgets the ticket's, if it has one.
	DropHeartbeat(ctx context.Context, ticket int64) error
}

// Heartbeat says that the claim with the fence holds until ExpiresAt.
type Heartbeat struct {
	TicketID  int64
	Fence     int64
	At        time.Time // when it came
	ExpiresAt time.Time
}

// All pages through everything that q selects. Iteration stops after the first
// error; q.Limit sets the size of a page.
func All(ctx context.Context, r interface {
	Read(ctx context.Context, q Query) ([]Envelope, error)
}, q Query,
) iter.Seq2[*Envelope, error] {
	return func(yield func(*Envelope, error) bool) {
		for {
			page, err := r.Read(ctx, q)
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range page {
				if !yield(&page[i], nil) {
					return
				}
			}
			if len(page) == 0 {
				return
			}
			last := &page[len(page)-1]
			if q.Descending {
				if q.UpTo = last.Position - 1; q.UpTo == 0 {
					return
				}
				continue
			}
			q.After = last.Position
			if q.Stream != "" {
				q.AfterVersion = last.Version
			}
		}
	}
}
