package projections

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/agent-kanban/agent-kanban/events"
)

// boards keeps boards, their columns and their members.
type boards struct {
	insert, update, archive, freeze, touch, drop                                         statement
	addColumn, setColumn, placeOf, place, shift, removeColumn, dropColumns, countColumns statement
	setMember, removeMember, dropMembers                                                 statement
}

var _ Projector = (*boards)(nil)

func newBoards(p *preparer) *boards {
	return &boards{
		insert: p.prepare(`INSERT INTO {boards}
			(id, key, name, description, visibility, max_claims, archived, version, created_by, created_at, updated_at)
			VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?)`),
		update: p.prepare(`UPDATE {boards} SET name = coalesce(?, name), description = coalesce(?, description),
			visibility = coalesce(?, visibility), max_claims = coalesce(?, max_claims) WHERE id = ?`),
		archive: p.prepare(`UPDATE {boards} SET archived = ? WHERE id = ?`),
		freeze:  p.prepare(`UPDATE {boards} SET frozen = ? WHERE id = ?`),
		touch:   p.prepare(`UPDATE {boards} SET version = ?, updated_at = ? WHERE id = ?`),
		drop:    p.prepare(`DELETE FROM {boards} WHERE id = ?`),

		addColumn:    p.prepare(`INSERT INTO {columns} (board_id, id, place, name, kind, wip_limit, policy) VALUES (?, ?, ?, ?, ?, ?, ?)`),
		setColumn:    p.prepare(`UPDATE {columns} SET name = ?, kind = ?, wip_limit = ?, policy = ? WHERE board_id = ? AND id = ?`),
		placeOf:      p.prepare(`SELECT place FROM {columns} WHERE board_id = ? AND id = ?`),
		place:        p.prepare(`UPDATE {columns} SET place = ? WHERE board_id = ? AND id = ?`),
		shift:        p.prepare(`UPDATE {columns} SET place = place + ? WHERE board_id = ? AND place >= ?`),
		removeColumn: p.prepare(`DELETE FROM {columns} WHERE board_id = ? AND id = ?`),
		dropColumns:  p.prepare(`DELETE FROM {columns} WHERE board_id = ?`),
		countColumns: p.prepare(`SELECT count(*) FROM {columns} WHERE board_id = ?`),

		setMember: p.prepare(`INSERT INTO {members} (board_id, user_id, name, role) VALUES (?, ?, ?, ?)
			ON CONFLICT (board_id, user_id) DO UPDATE SET name = excluded.name, role = excluded.role`),
		removeMember: p.prepare(`DELETE FROM {members} WHERE board_id = ? AND user_id = ?`),
		dropMembers:  p.prepare(`DELETE FROM {members} WHERE board_id = ?`),
	}
}

func (*boards) Name() string     { return "boards" }
func (*boards) Tables() []string { return []string{"boards", "columns", "members"} }

// Apply changes the board and, where anything was understood, its version.
func (b *boards) Apply(ctx context.Context, tx *Tx, c Change) error {
	if c.TicketID != 0 || c.BoardID == 0 {
		return nil
	}
	if err := b.apply(ctx, tx, c); err != nil || c.Fact == nil {
		return err
	}
	switch c.Type {
	case events.TypeBoardCreated, events.TypeBoardDeleted,
		events.TypeCommandsUndone, events.TypeWebhookAdded, events.TypeWebhookUpdated, events.TypeWebhookRemoved:
		return nil // not a change of what the board is
	}
	return tx.exec(ctx, b.touch, c.Version, c.At, c.BoardID)
}

func (b *boards) apply(ctx context.Context, tx *Tx, c Change) error {
	id := c.BoardID
	switch f := c.Fact.(type) {
	case nil:
		if c.Type != events.TypeBoardCreated {
			return nil
		}
		return tx.exec(ctx, b.insert, id, "", Redacted, "", string(events.Private), 0, c.Version, c.Actor.Name, c.At, c.At)
	case events.BoardCreated:
		if err := tx.exec(ctx, b.insert, id, f.Key, f.Name, f.Description, string(f.Visibility), f.MaxClaims,
			c.Version, c.Actor.Name, c.At, c.At); err != nil {
			return err
		}
		for i, column := range f.Columns {
			if err := tx.exec(ctx, b.addColumn, id, column.ID, i, column.Name, string(column.Kind), optional(column.WIPLimit), policy(column)); err != nil {
				return err
			}
		}
		return nil
	case events.BoardUpdated:
		return tx.exec(ctx, b.update, optional(f.Name), optional(f.Description), optional((*string)(f.Visibility)),
			optional(f.MaxClaims), id)
	case events.BoardArchived:
		return tx.exec(ctx, b.archive, 1, id)
	case events.BoardRestored:
		return tx.exec(ctx, b.archive, 0, id)
	case events.BoardFrozen:
		return tx.exec(ctx, b.freeze, 1, id)
	case events.BoardUnfrozen:
		return tx.exec(ctx, b.freeze, 0, id)
	case events.BoardDeleted:
		return errors.Join(tx.exec(ctx, b.dropColumns, id), tx.exec(ctx, b.dropMembers, id), tx.exec(ctx, b.drop, id))
	case events.ColumnAdded:
		return b.put(ctx, tx, id, f.Column, f.Index)
	case events.ColumnUpdated:
		return tx.exec(ctx, b.setColumn, f.Column.Name, string(f.Column.Kind), optional(f.Column.WIPLimit), policy(f.Column), id, f.Column.ID)
	case events.ColumnMoved:
		return b.move(ctx, tx, id, f)
	case events.ColumnRemoved:
		place, err := b.at(ctx, tx, id, f.ColumnID)
		if err != nil || place < 0 {
			return err
		}
		return errors.Join(tx.exec(ctx, b.removeColumn, id, f.ColumnID), tx.exec(ctx, b.shift, -1, id, place))
	case events.MemberAdded:
		return tx.exec(ctx, b.setMember, id, f.UserID, f.Name, string(f.Role))
	case events.MemberUpdated:
		return tx.exec(ctx, b.setMember, id, f.UserID, f.Name, string(f.Role))
	case events.MemberRemoved:
		return tx.exec(ctx, b.removeMember, id, f.UserID)
	default:
		return nil // other views
	}
}

// put inserts a column at index, at the end where the index is past it.
func (b *boards) put(ctx context.Context, tx *Tx, board int64, column events.Column, index int) error {
	var count int
	if err := tx.queryRow(ctx, b.countColumns, board).Scan(&count); err != nil {
		return err
	}
	index = min(index, count)
	return errors.Join(tx.exec(ctx, b.shift, 1, board, index),
		tx.exec(ctx, b.addColumn, board, column.ID, index, column.Name, string(column.Kind), optional(column.WIPLimit), policy(column)))
}

func (b *boards) move(ctx context.Context, tx *Tx, board int64, f events.ColumnMoved) error {
	from, err := b.at(ctx, tx, board, f.ColumnID)
	if err != nil || from < 0 {
		return err
	}
	var count int
	if err := tx.queryRow(ctx, b.countColumns, board).Scan(&count); err != nil {
		return err
	}
	to := min(f.Index, count-1)
	return errors.Join(
		tx.exec(ctx, b.place, -1, board, f.ColumnID), // out of the way of the shifts
		tx.exec(ctx, b.shift, -1, board, from+1),
		tx.exec(ctx, b.shift, 1, board, to),
		tx.exec(ctx, b.place, to, board, f.ColumnID))
}

// at returns the place of a column, -1 where the board has no such column.
func (b *boards) at(ctx context.Context, tx *Tx, board, column int64) (place int, err error) {
	err = tx.queryRow(ctx, b.placeOf, board, column).Scan(&place)
	if errors.Is(err, sql.ErrNoRows) {
		return -1, nil
	}
	return place, err
}

// policy is how rows hold one.
func policy(c events.Column) string {
	if c.Policy.IsZero() {
		return "{}"
	}
	text, _ := json.Marshal(c.Policy) // booleans and numbers always encode
	return string(text)
}

// optional makes a nil pointer NULL.
func optional[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}
