package readmodel

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/agent-kanban/agent-kanban/events"
)

// ticketRow is a row of tickets.
type ticketRow struct {
	bun.BaseModel `bun:"table:tickets,alias:t"`

	ID                 int64
	BoardID            int64
	Key                string
	Title              string
	Description        string
	AcceptanceCriteria string
	Priority           string
	Labels             string
	Assignee           *string
	ColumnID           int64
	CurrentColumn      string
	Rank               string
	DueAt              *string
	Archived           bool
	Version            int64
	CreatedBy          string
	CreatedAt          string
	UpdatedAt          string
	ColumnEnteredAt    string
	Checklist          string
	Evidence           string
	DependsOn          string
	OpenDeps           int64
	Approval           *string
	LeaseFence         *int64
	LeaseHolderID      *int64
	LeaseHolder        *string
	LeaseClaimedAt     *string
	LeaseExpiresAt     *string
	CommentCount       int64
	BeatExpiresAt      *int64 `bun:",scanonly"` // microseconds; of the newest heartbeat
}

// ticketColumns and ticketTables read a ticket with the newest heartbeat of its
// claim, which is not of the log.
const (
	ticketColumns = `t.id, t.board_id, t.key, t.title, t.description, t.acceptance_criteria, t.priority, t.labels, t.assignee,
	t.column_id, t.current_column, t.rank, t.due_at, t.archived, t.version, t.created_by, t.created_at, t.updated_at, t.column_entered_at,
	t.checklist, t.evidence, t.depends_on, t.open_deps, t.approval,
	t.lease_fence, t.lease_holder_id, t.lease_holder, t.lease_claimed_at, t.lease_expires_at, t.comment_count, h.expires_at`
	joinHeartbeat = `LEFT JOIN heartbeats h ON h.ticket_id = t.id AND h.fence = t.lease_fence`
	selectTicket  = `SELECT ` + ticketColumns + ` FROM tickets t ` + joinHeartbeat
)

func (r *ticketRow) scan(row interface{ Scan(...any) error }) error {
	return row.Scan(&r.ID, &r.BoardID, &r.Key, &r.Title, &r.Description, &r.AcceptanceCriteria, &r.Priority, &r.Labels,
		&r.Assignee, &r.ColumnID, &r.CurrentColumn, &r.Rank, &r.DueAt, &r.Archived, &r.Version, &r.CreatedBy,
		&r.CreatedAt, &r.UpdatedAt, &r.ColumnEnteredAt, &r.Checklist, &r.Evidence, &r.DependsOn, &r.OpenDeps, &r.Approval,
		&r.LeaseFence, &r.LeaseHolderID, &r.LeaseHolder, &r.LeaseClaimedAt, &r.LeaseExpiresAt, &r.CommentCount, &r.BeatExpiresAt)
}

func (r *ticketRow) view() (Ticket, error) {
	t := Ticket{
		ID: r.ID, Key: r.Key, BoardID: r.BoardID, Title: r.Title, Description: r.Description,
		AcceptanceCriteria: r.AcceptanceCriteria, Priority: events.Priority(r.Priority), Assignee: r.Assignee,
		ColumnID: r.ColumnID, CurrentColumn: r.CurrentColumn, Rank: r.Rank, Archived: r.Archived, Version: r.Version,
		CreatedBy: r.CreatedBy, Blocked: r.OpenDeps > 0, CommentCount: r.CommentCount,
	}
	var errs [10]error
	t.Labels, errs[0] = ParseLabels(r.Labels)
	t.CreatedAt, errs[1] = ParseTime(r.CreatedAt)
	t.UpdatedAt, errs[2] = ParseTime(r.UpdatedAt)
	t.ColumnEnteredAt, errs[3] = ParseTime(r.ColumnEnteredAt)
	if r.DueAt != nil {
		due, err := ParseTime(*r.DueAt)
		t.DueAt, errs[4] = &due, err
	}
	t.Checklist, errs[5] = parseList[events.ChecklistItem]("checklist", r.Checklist)
	t.Evidence, errs[6] = parseList[events.Evidence]("evidence", r.Evidence)
	t.DependsOn, errs[7] = parseList[string]("depends_on", r.DependsOn)
	if r.Approval != nil {
		t.Approval = new(Approval)
		errs[8] = parseJSON("approval", *r.Approval, t.Approval)
	}
	t.Lease, errs[9] = r.lease()
	return t, errors.Join(errs[:]...)
}

// lease is who holds the ticket, nil for nobody.
func (r *ticketRow) lease() (*Lease, error) {
	if r.LeaseFence == nil || r.LeaseHolderID == nil || r.LeaseHolder == nil || r.LeaseClaimedAt == nil || r.LeaseExpiresAt == nil {
		return nil, nil
	}
	l := &Lease{Fence: *r.LeaseFence, HolderID: *r.LeaseHolderID, Holder: *r.LeaseHolder}
	var err1, err2 error
	l.ClaimedAt, err1 = ParseTime(*r.LeaseClaimedAt)
	l.ExpiresAt, err2 = ParseTime(*r.LeaseExpiresAt)
	if r.BeatExpiresAt != nil {
		l.ExpiresAt = time.UnixMicro(*r.BeatExpiresAt).UTC()
	}
	return l, errors.Join(err1, err2)
}

// Snapshot returns a board with its columns and tickets as of one position.
func (q *Queries) Snapshot(ctx context.Context, board int64) (Snapshot, error) {
	tx, err := q.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return Snapshot{}, fmt.Errorf("read snapshot: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	var s Snapshot
	if s.Board, err = q.board(ctx, tx, strconv.FormatInt(board, 10)); err != nil {
		return Snapshot{}, err
	}
	s.Columns = s.Board.Columns
	if err := tx.StmtContext(ctx, q.stmt.position).QueryRowContext(ctx).Scan(&s.Position); err != nil { //nolint:sqlclosecheck // ends with the transaction
		return Snapshot{}, fmt.Errorf("read snapshot: %w", err)
	}
	rows, err := tx.StmtContext(ctx, q.stmt.tickets).QueryContext(ctx, board) //nolint:sqlclosecheck // ends with the transaction
	if err != nil {
		return Snapshot{}, fmt.Errorf("read snapshot: %w", err)
	}
	defer rows.Close()
	s.Tickets = []Ticket{}
	for rows.Next() {
		var r ticketRow
		if err := r.scan(rows); err != nil {
			return Snapshot{}, fmt.Errorf("read snapshot: %w", err)
		}
		t, err := r.view()
		if err != nil {
			return Snapshot{}, err
		}
		s.Tickets = append(s.Tickets, t)
	}
	SortTickets(s.Tickets, s.Columns)
	return s, rows.Err()
}

// SortTickets brings tickets of one board into the order of the board: by
// column, then rank, then id. A ticket in none of the columns comes last.
func SortTickets(tickets []Ticket, columns []Column) {
	place := make(map[int64]int, len(columns))
	for i, c := range columns {
		place[c.ID] = i - len(columns) // so that a missing one, 0, sorts last
	}
	slices.SortFunc(tickets, func(a, b Ticket) int {
		return cmp.Or(cmp.Compare(place[a.ColumnID], place[b.ColumnID]), strings.Compare(a.Rank, b.Rank), cmp.Compare(a.ID, b.ID))
	})
}

// TicketFilter selects tickets; zero fields select everything, fields combine
// with AND.
type TicketFilter struct {
	BoardID  int64
	Column   string // id or name, in any letter case
	Assignee string // user name
	Label    string
	Query    string // text in title, description or key, in any letter case
	Holder   string // name of who holds it
	Ready    bool   // only those that claim-next could take
	Blocked  bool   // only those that wait for others
	Archived bool   // those that are archived instead of those that are not
	Limit    int    // 1 to MaxLimit
	Cursor   string // NextCursor of the page before
}

func (f TicketFilter) apply(viewer Viewer, query *bun.SelectQuery) *bun.SelectQuery {
	query = query.Where("t.archived = ?", f.Archived)
	if f.BoardID != 0 {
		query = query.Where("t.board_id = ?", f.BoardID)
	}
	query = viewer.visible(query, "t.board_id")
	if id := idOf(f.Column); id > 0 {
		query = query.Where("(t.column_id = ? OR t.current_column = ?)", id, f.Column)
	} else if f.Column != "" {
		query = query.Where("t.current_column = ? COLLATE NOCASE", f.Column)
	}
	if f.Assignee != "" {
		query = query.Where("t.assignee = ?", f.Assignee)
	}
	if f.Holder != "" {
		query = query.Where("t.lease_holder = ?", f.Holder)
	}
	if f.Ready {
		query = query.Where(`t.archived = 0 AND t.lease_fence IS NULL AND t.open_deps = 0 AND EXISTS
			(SELECT 1 FROM columns c WHERE c.board_id = t.board_id AND c.id = t.column_id AND c.kind = ?)`, string(events.Backlog))
	}
	if f.Blocked {
		query = query.Where("t.open_deps > 0")
	}
	if f.Label != "" {
		query = query.Where("EXISTS (SELECT 1 FROM json_each(t.labels) WHERE value = ?)", f.Label)
	}
	if f.Query != "" {
		pattern := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(f.Query) + "%"
		query = query.Where(`(t.title LIKE ?0 ESCAPE '\' OR t.description LIKE ?0 ESCAPE '\' OR t.key LIKE ?0 ESCAPE '\')`, pattern)
	}
	return query
}

// Tickets lists tickets of boards that the viewer may see, oldest first.
func (q *Queries) Tickets(ctx context.Context, viewer Viewer, f TicketFilter) (Page[Ticket], error) {
	n, err := limit(f.Limit)
	if err != nil {
		return Page[Ticket]{}, err
	}
	after, err := decodeCursor(f.Cursor)
	if err != nil {
		return Page[Ticket]{}, err
	}
	var rows []ticketRow
	var total int64
	err = q.view(ctx, func(tx bun.Tx) error {
		count, err := f.apply(viewer, tx.NewSelect().Model((*ticketRow)(nil))).Count(ctx)
		if err != nil {
			return err
		}
		total = count
		return f.apply(viewer, tx.NewSelect().Model(&rows).ColumnExpr(ticketColumns+` AS beat_expires_at`).Join(joinHeartbeat)).Where("t.id > ?", after).Order("t.id").Limit(n + 1).Scan(ctx)
	})
	if err != nil {
		return Page[Ticket]{}, fmt.Errorf("read tickets: %w", err)
	}
	tickets := make([]Ticket, len(rows))
	for i := range rows {
		if tickets[i], err = rows[i].view(); err != nil {
			return Page[Ticket]{}, err
		}
	}
	return finish(tickets, n, total, func(t Ticket) int64 { return t.ID }), nil
}

var errNoTicket = &events.Error{Code: events.CodeNotFound, Message: "There is no such ticket, or you are not a member of its board."}

// Ticket returns a ticket by its id ("57") or key ("WEB-12", in any letter
// case). Whether the caller may see its board is another question: see Access.
func (q *Queries) Ticket(ctx context.Context, ref string) (Ticket, error) {
	var row ticketRow
	var err error
	dash := strings.LastIndexByte(ref, '-')
	if id := idOf(ref); id > 0 {
		err = row.scan(q.stmt.ticket.QueryRowContext(ctx, id))
	} else if dash > 0 && idOf(ref[dash+1:]) > 0 {
		err = row.scan(q.stmt.ticketByKey.QueryRowContext(ctx, strings.ToUpper(ref[:dash]), idOf(ref[dash+1:])))
	} else {
		return Ticket{}, errNoTicket
	}
	if errors.Is(err, sql.ErrNoRows) {
		return Ticket{}, errNoTicket
	}
	if err != nil {
		return Ticket{}, fmt.Errorf("read ticket: %w", err)
	}
	return row.view()
}

// idOf returns the number that ref is, 0 where it is none above 0.
func idOf(ref string) int64 {
	id, err := strconv.ParseInt(ref, 10, 64)
	if err != nil {
		return 0
	}
	return max(id, 0)
}
